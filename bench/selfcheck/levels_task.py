"""The data between ``torchduet selfcheck levels``, its interpreters and their workers. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.cases.exchange import Task


@dataclass(frozen=True)
class VisitTask:
    """One visit: the pair as a family, its time, how many placements divide it, and where its compiled code is kept."""

    task: Task
    placements: int
    cache: str


@dataclass(frozen=True)
class Visit:
    """The result of a visit.

    Attributes:
        differences: per placement, the median over its rounds of log(time of the base / time of the other).
        seconds: per call of each, as of the warm-up.
        first_calls: seconds of the first calls of both; of compiled code, those of loading it.
        others: cores that other processes kept busy meanwhile; None: not known here.
    """

    differences: tuple[float, ...]
    seconds: tuple[float, ...]
    first_calls: float
    others: float | None
