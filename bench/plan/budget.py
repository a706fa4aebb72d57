"""Shares the run's time among its families, and measures how much of it is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.suites.workload import COMPILED

TIER_BUDGET = {"quick": 90.0, "default": 540.0, "full": 3600.0}  # seconds
FIRST_GUESS = {"eager": 0.05, "compile": 6.0}  # seconds until a case can be timed
MIN_SECONDS = 0.4
SECONDS_PER_CASE = 2.0
ENERGY_SECONDS = (
    5.5  # of a case with --energy, about: the window of passes/energy, and half the wait for its first change
)
CALLS_SET_ASIDE = 1.25 * MIN_PLACEMENTS  # one a placement, and those of the check and the warm-up
MAX_STRETCH = 3.0
GUESS_COUNTS = 5  # the first guess weighs as much as this many families
SMALL_WEIGHT = 0.3  # of a family that gets a small share, in cases
TOLERANCE = 0.05  # of a --budget: by how much families may overdraw it for the minimum that they need
TOLERATED_SECONDS = 60.0  # the same for a tier's default budget


@dataclass(frozen=True, slots=True)
class Spent:
    """What a family cost, and what the run learned from it.

    Attributes:
        fixed: seconds of its stages before timing; None: unknown.
        timing: seconds (allotted, used) for timing; None: nothing was timed.
        stages: seconds by stage.
        slow: (case, seconds of one call) of each case that was too slow.
        retry: its worker gave no answer, or it ended early; a resumed run measures it again if it was the last one.
    """

    fixed: float | None = None
    timing: tuple[float, float] | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    slow: tuple[tuple[Case, float], ...] = ()
    retry: bool = False


class Budget:
    """Time for the run. The time that one family does not need goes to the families after it.

    Two things are set aside for each family: its first calls (mainly compilation), whose cost is estimated from the
    families so far, and the minimum number of calls of each case whose author declares long calls. The rest is shared
    so that every case has the same time; the calls set aside count towards it. A share is stretched by the ratio of
    allotted to used time so far: most families are precise long before their share is used up, and the time goes to
    those that are not. As much is left for the other families as they are likely to need.

    Args:
        call_seconds: family name → roughly how long one call takes, where its author declares it.
        extra: seconds that every case takes in addition, such as for its energy.
        asked_for: the user has set the budget, so it is kept; a tier's default may be overdrawn by a minute instead of
            leaving families out.
        spent: seconds of it that a resumed run has spent already.
        now: seconds of a clock (default: the monotonic one).
    """

    def __init__(
        self,
        seconds: float,
        families: Sequence[Family],
        call_seconds: Mapping[str, float] | None = None,
        extra: float = 0.0,
        *,
        asked_for: bool = True,
        spent: float = 0.0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._extra, self._now = extra, now or monotonic
        self._deadline = self._now() + seconds - spent
        self._tolerated = TOLERANCE * seconds if asked_for else TOLERATED_SECONDS
        self._left = list(families)
        self._call_seconds = call_seconds or {}
        self._costs: dict[str, list[float]] = {"eager": [], "compile": []}
        self._allotted = self._used = 0.0
        self._tried = False

    def set_aside(self, seconds: float) -> None:
        """Reserve ``seconds`` for the time after the last family."""
        self._deadline -= seconds

    def _fixed(self, family: Family) -> float:
        return sum(self._cost(_kind(case.mode)) + self._extra for case in family.cases if case.slowdown == 1)

    def _cost(self, kind: str) -> float:
        # One family with a long compilation must not take the time of all families after it.
        costs = self._costs[kind]
        return (GUESS_COUNTS * FIRST_GUESS[kind] + sum(costs)) / (GUESS_COUNTS + len(costs))

    def _long_calls(self, family: Family) -> float:
        return CALLS_SET_ASIDE * self._call_seconds.get(family.name, 0.0) * len(family.cases)

    def seconds_left(self) -> float:
        """Seconds until the budget is used up; negative when it is overdrawn."""
        return self._deadline - self._now()

    def max_seconds(self) -> float:
        """Seconds that a family may take in all; unlimited for the first family."""
        return self.seconds_left() + self._tolerated if self._used else math.inf

    def allot(self, family: Family) -> float | None:
        """Seconds for timing ``family``'s blocks; None when too little of the budget is left for it."""
        available = self.seconds_left() + self._tolerated
        first_try = not self._tried  # a run whose start has used up its budget still measures one family
        if not first_try and (available <= 0 or (self._minimum(family) > available and self._used)):
            return None
        spare = max(0.0, self.seconds_left() - sum(self._minimum(other) for other in self._left))
        fair = self._beyond_minimum(family, self._per_case(spare))
        share = min(self._stretch() * fair, spare - self._reserved_for_others(spare - fair))
        return self._long_calls(family) + MIN_SECONDS + share

    def _reserved_for_others(self, seconds: float) -> float:
        """The part of the other families' ``seconds`` that they are likely to need, judged by the families so far.

        The fewer they are, the less certain is that part: the deviation of a mean falls with the root of their number.
        """
        others = len(self._left) - 1
        if others <= 0:
            return 0.0
        needed = 1 / self._stretch()
        return (needed + (1 - needed) / math.sqrt(others)) * max(0.0, seconds)

    def _minimum(self, family: Family) -> float:
        return self._fixed(family) + self._long_calls(family) + MIN_SECONDS

    def _beyond_minimum(self, family: Family, per_case: float) -> float:
        """Seconds beyond those set aside for a family, where each case gets ``per_case``.

        A family of one case gets a small share: nothing is compared. So does a family whose long calls set aside take
        more than its share: each further call would cost as much as several short cases need.
        """
        fair = 0.0 if len(family.cases) == 1 else len(family.cases) * per_case - self._long_calls(family)
        return max(SMALL_WEIGHT * per_case, fair)

    def _per_case(self, spare: float) -> float:
        """The seconds per case with which the remaining families use up all of ``spare``."""
        weight, set_aside = SMALL_WEIGHT * len(self._left), 0.0
        compared = [family for family in self._left if len(family.cases) > 1]
        additional = [(len(family.cases) - SMALL_WEIGHT, self._long_calls(family)) for family in compared]
        # Families with the fewest seconds set aside per case get more than the small share.
        for cases, long_calls in sorted(additional, key=lambda item: item[1] / item[0]):
            if long_calls / cases >= (spare + set_aside) / weight:
                break
            weight += cases
            set_aside += long_calls
        return (spare + set_aside) / weight

    def _stretch(self) -> float:
        if not self._used:
            return 1.0
        return min(MAX_STRETCH, max(1.0, self._allotted / self._used))

    def done(
        self, family: Family, fixed_seconds: float | None = None, timing: tuple[float, float] | None = None
    ) -> None:
        """Account for a finished family.

        Args:
            fixed_seconds: seconds of its stages before timing, None if unknown.
            timing: seconds (allotted, used) for timing, None if nothing was timed.
        """
        self._left = [other for other in self._left if other is not family]
        self._tried = True
        if timing is not None:
            self._allotted += timing[0]
            self._used += timing[1]
        if fixed_seconds is None:
            return
        fixed_seconds -= self._extra * sum(case.slowdown == 1 for case in family.cases)
        compiled = [case for case in family.cases if _kind(case.mode) == "compile" and case.slowdown == 1]
        if compiled:
            eager = (len(family.cases) - len(compiled)) * self._cost("eager")
            self._costs["compile"].append(max(0.0, fixed_seconds - eager) / len(compiled))
        elif family.cases and not self._long_calls(family):
            self._costs["eager"].append(fixed_seconds / len(family.cases))


def enough_for(families: Sequence[Family], seconds_per_case: float = SECONDS_PER_CASE) -> float:
    """A budget (seconds) that gives each case ``seconds_per_case``, and the time that its first call may take."""
    cases = [case for family in families for case in family.cases]
    return sum(seconds_per_case + (FIRST_GUESS[_kind(case.mode)] if case.slowdown == 1 else 0.0) for case in cases)


def _kind(mode: str) -> str:
    return "compile" if mode in COMPILED else "eager"
