"""Estimates whether a whole run took longer or less than the base by one common factor, and what that comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from torchduet.bench.record.machines.facts import MACHINE, SETTING, SOFTWARE
from torchduet.reports.compare.settings import Difference
from torchduet.reports.shifts.question import Question

MIN_CASES = 5  # fewer may have changed together by chance, or because they share code
FEW_SHIFT = math.log(1.25)  # what fewer cases must exceed
MOVED_SHARE = 0.9  # of the families must lie beyond the threshold, all on one side
ALIKE_SHARE = 0.75  # of them must lie within half the common shift of it
SAME_CAUSE = 0.3  # pilots whose shift lies within this share of the common one took as much longer as the cases
UNMOVED = 0.25  # pilots whose shift is below this share of the common one did not take longer


@dataclass(frozen=True)
class CommonFactor:
    """A factor that all cases of a run share; shifts are log(base / new), below 0 where the new run is slower.

    Attributes:
        shift: the median over families of their median shift.
        low, high: shifts of the 5 % and the 95 % quantile of the cases.
        cases: how many cases it is estimated from.
        pilots: the pilots' shift closest to it; None if not both runs have pilots.
        differing: recorded facts that may be the cause: ``PyTorch 2.12.0 → 2.13.0``.
    """

    shift: float
    low: float
    high: float
    cases: int
    pilots: float | None = None
    differing: tuple[str, ...] = ()

    @property
    def slower(self) -> bool:
        """Whether the new run took longer."""
        return self.shift < 0

    @property
    def few(self) -> bool:
        """Whether so few cases show it that the code of all of them may be the cause."""
        return self.cases < MIN_CASES

    @property
    def by_machine(self) -> bool:
        """Whether the pilots took about as much longer or less: the machine is the cause."""
        return self.pilots is not None and abs(self.pilots - self.shift) <= SAME_CAUSE * abs(self.shift)

    @property
    def by_build(self) -> bool:
        """Whether the pilots, which no build of PyTorch changes much, took about as long as before."""
        return self.pilots is not None and abs(self.pilots) <= UNMOVED * abs(self.shift)


def common_factor(
    questions: Sequence[Question],
    threshold: float,
    pilots: Mapping[str, float],
    differences: Sequence[Difference],
) -> CommonFactor | None:
    """The factor that all cases share; None if most did not move, or moved by different factors.

    Nine of ten families must have moved in one direction by more than the threshold, and three of four by a similar
    factor: within the square root of the common one. So a few cases that really changed hide it as little as they
    cause it. Of fewer than five cases all must have moved by more than a quarter, with the whole interval of their
    visits, if they have any: two noisy cases go the same way by chance in one of two runs.

    Args:
        threshold: share of the time that a change must exceed to matter.
        pilots: kind of pilot → its median shift between the runs, as ``movement.levels`` gives it.
    """
    if len(questions) < 2:
        return None
    shifts = [question.shift.point for question in questions]
    by_unit: dict[str, list[float]] = {}
    for question in questions:
        by_unit.setdefault(question.unit, []).append(question.shift.point)
    # A family shares a process, so it counts once; in a run of few families, each case counts.
    values = [median(own) for own in by_unit.values()] if len(by_unit) >= MIN_CASES else shifts
    common = median(values)
    least = max(math.log1p(threshold), FEW_SHIFT if len(shifts) < MIN_CASES else 0.0)
    moved = sum(value * math.copysign(1, common) > least for value in values)
    alike = sum(abs(value - common) <= abs(common) / 2 for value in values)
    needed = 1.0 if len(shifts) < MIN_CASES else MOVED_SHARE
    if len(shifts) < MIN_CASES and not all(_surely(question, least, common) for question in questions):
        return None
    if moved < needed * len(values) or alike < ALIKE_SHARE * len(values):
        return None
    cuts = quantiles(shifts, n=20, method="inclusive")
    causes = (MACHINE, SOFTWARE, SETTING)
    return CommonFactor(
        shift=common,
        low=cuts[0],
        high=cuts[-1],
        cases=len(shifts),
        pilots=min(pilots.values(), key=lambda level: abs(level - common)) if pilots else None,
        differing=tuple(
            f"{difference.name} {difference.base} → {difference.new}"
            for difference in differences
            if difference.kind in causes
        ),
    )


def _surely(question: Question, least: float, common: float) -> bool:
    """Whether the visits show that a case moved by more than ``least``, on the side of the common shift."""
    if question.visits is None:
        return True
    return question.shift.low > least if common > 0 else question.shift.high < -least
