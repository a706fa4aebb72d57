"""The processes of a run that were started together, as its plan and its record see them."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.host.launch.variables import RANK, WORLD


@dataclass(frozen=True)
class Processes:
    """The processes of a run that were started together; each can be one rank.

    Attributes:
        number: how many there are.
        here: how many of them are on the machine of rank 0.
        nodes: how many machines there are.
        torchrun: it has started them.
    """

    number: int
    here: int
    nodes: int
    torchrun: bool

    def obstacle(self, ranks: int) -> str:
        """Why there cannot be so many ranks."""
        if self.torchrun:
            return f"{ranks} ranks need {ranks} processes of torchrun; it has started {self.number}"
        return f"{ranks} ranks need {ranks} processes that were started together; there are {self.number} ({WORLD})"

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """For the record of the run."""
        by = "torchrun" if self.torchrun else f"{RANK} and {WORLD}"
        return {"started_by": by, "processes": self.number, "nodes": self.nodes}
