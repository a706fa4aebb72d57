"""What is judged of a case: its shift between two runs, with all that its verdict depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from torchduet.bench.record.moderation import Estimate
from torchduet.bench.record.statistics import MIN_PLACEMENTS, Interval
from torchduet.reports.shifts.movement import Movement
from torchduet.reports.shifts.spread import Residual


@dataclass(frozen=True)
class Question:
    """One case's shift between two runs, log(base / new), above 0 where it became faster.

    It rests on visits, where both runs have any, else on placements.

    Attributes:
        unit: the family, whose cases share a process in either run.
        shift: with its interval from the visits, or the exact one from the placements.
        threshold: share of the time that a change must exceed to matter.
        movement: how much the machine itself may have changed; None where that is not known.
        visits: the difference of both runs' visits; None where a run has none.
        placements: without visits, the smaller number of both runs.
        noise: without visits, the spread of single placements, of both runs together (standard deviation, log).
        halves: without visits, for either run, the second half of its placements minus the first.
        withheld: why no verdict is given, whatever the figures; empty where one may be.
    """

    unit: str
    shift: Interval
    threshold: float
    movement: Movement | None = None
    visits: Estimate | None = None
    placements: int = 0
    noise: float = 0.0
    halves: tuple[Residual, ...] = ()
    withheld: str = ""

    def with_movement(self, movement: Movement | None) -> Question:
        """The same question with the machine's movement."""
        return replace(self, movement=movement)

    @property
    def enough(self) -> bool:
        """Whether both runs have enough visits, or without these enough placements, for an interval."""
        return self.visits.degrees > 0 if self.visits else self.placements >= MIN_PLACEMENTS


def centre(questions: Sequence[Question]) -> float:
    """The common shift: the median over families of their median shift."""
    by_unit: dict[str, list[float]] = {}
    for question in questions:
        by_unit.setdefault(question.unit, []).append(question.shift.point)
    return median(median(values) for values in by_unit.values()) if by_unit else 0.0


def residuals(questions: Sequence[Question]) -> list[Residual]:
    """Every shift minus the common one; without those from too few placements."""
    common = centre(questions)
    return [
        Residual(question.unit, question.shift.point - common, question.noise)
        for question in questions
        if question.enough
    ]
