"""The machines of a fleet as the driver sees them: what happens to them, and what it can do with them.

The driver is told by :class:`Nodes` alone what happens, so it works in the same way with any kind of cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torchduet.bench.fleet.messages import Order, Reply


@dataclass(frozen=True)
class Arrived:
    """A machine can be given orders from now on.

    Attributes:
        node: names it, unlike every other one before and after.
        host: its name for people.
    """

    node: str
    host: str


@dataclass(frozen=True)
class Said:
    """A machine has sent a reply."""

    node: str
    reply: Reply


@dataclass(frozen=True)
class Lost:
    """A machine is gone, with what it was doing.

    Attributes:
        why: in words that follow its name: ``died``.
    """

    node: str
    why: str


@dataclass(frozen=True)
class Leaving:
    """A machine will be taken away soon.

    Attributes:
        why: in words that follow its name: ``is preempted``.
    """

    node: str
    why: str


Event = Arrived | Said | Lost | Leaving


class Nodes(Protocol):
    """The machines of a cluster."""

    def poll(self, seconds: float) -> list[Event]:
        """What has happened, in order; waits for something to happen for so many seconds at most.

        Raises:
            ClusterError: the cluster cannot be reached any more.
        """

    def send(self, node: str, order: Order) -> None:
        """Send an order to a machine; to one that is gone nothing is sent."""

    def release(self, node: str) -> None:
        """End what was started on a machine, whatever it does, and leave the machine to others."""

    def waiting(self) -> Mapping[str, str]:
        """Machines that cannot be given orders yet: host → why, ``is used by others``."""

    def nobody(self) -> str:
        """Why the cluster has no machine on which anything could be measured, and how to add one; empty if it has."""

    def close(self) -> None:
        """Release all machines."""

    @property
    def abandoned(self) -> bool:
        """Whether the cluster is gone in such a way that this process has to end without the usual last steps."""


class ClusterError(Exception):
    """The cluster cannot be used; the message says why and what to do."""
