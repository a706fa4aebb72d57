"""The pairs of interpreters of a duet: each is used for at most one pair of workers of every family."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from torchduet.bench.duet.processes import Server

MAX_LIVE = 3  # pairs of interpreters that are kept for families that have not used them

Servers = tuple[Server, Server]


class Pool:
    """Starts pairs of interpreters, and ends the oldest when there are too many.

    What an interpreter has by chance is inherited by every worker forked from it, so another pair of workers of the
    same family comes from another pair of interpreters.

    Attributes:
        start_seconds: how long the last pair took to import torch; before that a guess.

    Args:
        start: starts a pair of interpreters, without waiting for them.
    """

    def __init__(self, start: Callable[[], Servers]) -> None:
        self._start = start
        self._live: list[tuple[Servers, set[str]]] = []  # with the names of the families that have used them
        self.start_seconds = 3.0

    def start(self) -> Servers:
        """Start one more pair of interpreters; they begin to import torch.

        Raises:
            SideError: an interpreter cannot be run.
        """
        while len(self._live) >= MAX_LIVE:
            _close(self._live.pop(0)[0])
        servers = self._start()
        self._live.append((servers, set()))
        return servers

    def any(self) -> Servers:
        """A pair of interpreters, whoever has used it.

        Raises:
            SideError: one of them cannot be a side.
        """
        return self._ready(self._live[-1][0] if self._live else self.start())

    def has_unused(self, family: str) -> bool:
        """Whether there is a live pair of interpreters that this family has not used."""
        return any(family not in used for _, used in self._live)

    def unused(self, family: str) -> Servers:
        """A pair of interpreters that this family has not used before; starts one if there is none.

        Raises:
            SideError: one of them cannot be a side.
        """
        if not self.has_unused(family):
            began = monotonic()
            self._ready(self.start())
            self.start_seconds = monotonic() - began
        servers, used = next(entry for entry in self._live if family not in entry[1])
        used.add(family)
        return self._ready(servers)

    @staticmethod
    def _ready(servers: Servers) -> Servers:
        for server in servers:
            server.ready()
        return servers

    def close(self) -> None:
        """End every interpreter, with its workers."""
        while self._live:
            _close(self._live.pop()[0])


def _close(servers: Servers) -> None:
    for server in servers:
        server.close()
