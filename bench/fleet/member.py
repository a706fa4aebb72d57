"""One machine of a fleet as its driver sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from torchduet.bench.fleet.journal import Log
from torchduet.bench.fleet.messages import Planned


class State(Enum):
    """What a machine does."""

    DESCRIBING = "describing"  # it plans
    DESCRIBED = "described"  # it waits until all of the first machines are known
    BEGINNING = "beginning"
    IDLE = "idle"
    BUSY = "busy"  # it measures, or makes a later visit
    ENDING = "ending"
    OVER = "over"


@dataclass
class Member:
    """One machine.

    Attributes:
        node: its name among :class:`torchduet.bench.fleet.nodes.Nodes`.
        kind: the name of its kind; empty until it takes part.
        log: its entries in the journal.
        queued: whether the queue has it: it can be given families.
        measured: the families that it has measured, with those of an earlier process on it.
        used: seconds of the budget that it has used.
        visits: whether later visits may be worth it.
        unclear, comparisons: how many comparisons are not precise yet, and how many there are.
        showing: what it does, in words.
    """

    node: str
    host: str
    state: State = State.DESCRIBING
    planned: Planned | None = None
    kind: str = ""
    log: Log | None = None
    queued: bool = False
    measured: list[str] = field(default_factory=list)
    used: float = 0.0
    visits: bool = True
    unclear: int = 0
    comparisons: int = 0
    showing: str = ""

    @property
    def active(self) -> bool:
        """Whether something can still come from it."""
        return self.state is not State.OVER
