"""Sharing the run's time among its families, and saying how much of it is left."""

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
CALLS_SET_ASIDE = 1.25 * MIN_PLACEMENTS  # the least, and what checking and warming up take
MAX_STRETCH = 3.0
GUESS_COUNTS = 5  # the first guess weighs as much as so many families
LITTLE = 0.3  # the weight of a family that gets little of what is shared out
TOLERANCE = 0.05  # of a budget that was asked for: what families may overdraw it by for the least they need
TOLERATED_SECONDS = 60.0  # the same for a tier's own budget


@dataclass(frozen=True, slots=True)
class Spent:
    """What a family cost, and what its session learned from it.

    Attributes:
        fixed: seconds of its stages before timing; None: unknown.
        timing: seconds (allotted, used) for timing; None: it came to none.
        stages: seconds by stage.
        slow: (case, seconds of one call) of what was too slow.
        again: its worker gave no answer, or it was cut short: resumed, the run tries it again, if it was the last.
    """

    fixed: float | None = None
    timing: tuple[float, float] | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    slow: tuple[tuple[Case, float], ...] = ()
    again: bool = False


class Budget:
    """Time for the run. What one family leaves over goes to those after it.

    Set aside are a family's first calls (compilation above all), which cost what they cost and are
    learned from those seen so far, and the least number of calls of each case that its author says is
    long. The rest is shared out so that every case has the same time, to which the calls set aside count. It is
    stretched by what families so far did not need: most are precise long before their share is used up, and the time
    is for those that are not. So much is left for the others as they are likely to need.

    Args:
        call_seconds: family name → roughly how long one call takes, where its author says so.
        extra: seconds that every case takes beside that, such as for its energy.
        asked_for: the user has set it, so that it is kept to; a tier's own may be overdrawn by a minute rather
            than leave families out.
        spent: seconds of it that are gone already, in a run that is resumed.
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
        self._seen: dict[str, list[float]] = {"eager": [], "compile": []}
        self._allotted = self._used = 0.0
        self._tried = False

    def set_aside(self, seconds: float) -> None:
        """Keep ``seconds`` back for what comes after the last family."""
        self._deadline -= seconds

    def _fixed(self, family: Family) -> float:
        return sum(self._cost(_kind(case.mode)) + self._extra for case in family.cases if case.slowdown == 1)

    def _cost(self, kind: str) -> float:
        # One family that compiles for long must not take the time of all those after it.
        seen = self._seen[kind]
        return (GUESS_COUNTS * FIRST_GUESS[kind] + sum(seen)) / (GUESS_COUNTS + len(seen))

    def _long_calls(self, family: Family) -> float:
        return CALLS_SET_ASIDE * self._call_seconds.get(family.name, 0.0) * len(family.cases)

    def seconds_left(self) -> float:
        """Until the budget is used up; negative when it is overdrawn."""
        return self._deadline - self._now()

    def most(self) -> float:
        """Seconds that a family may take in all; the first one what it needs."""
        return self.seconds_left() + self._tolerated if self._used else math.inf

    def allot(self, family: Family) -> float | None:
        """Seconds for timing ``family``'s blocks; None when what is left of the budget is too short for it."""
        there_is = self.seconds_left() + self._tolerated
        first_try = not self._tried  # a run whose start has used up its budget is still to show something
        if not first_try and (there_is <= 0 or (self._least(family) > there_is and self._used)):
            return None
        spare = max(0.0, self.seconds_left() - sum(self._least(other) for other in self._left))
        fair = self._beyond(family, self._per_case(spare))
        share = min(self._stretch() * fair, spare - self._kept_for_others(spare - fair))
        return self._long_calls(family) + MIN_SECONDS + share

    def _kept_for_others(self, seconds: float) -> float:
        """What may not be taken of the other families' ``seconds``: what they are likely to need, if like those so far.

        How much that is of what they may have is the less certain the fewer they are: the deviation of a mean falls
        with the root of their number.
        """
        others = len(self._left) - 1
        if others <= 0:
            return 0.0
        needed = 1 / self._stretch()
        return (needed + (1 - needed) / math.sqrt(others)) * max(0.0, seconds)

    def _least(self, family: Family) -> float:
        return self._fixed(family) + self._long_calls(family) + MIN_SECONDS

    def _beyond(self, family: Family, per_case: float) -> float:
        """Seconds beyond what is set aside for a family, where each case is to have ``per_case``.

        Little for one case alone: nothing is compared, and a time per call is not what to rely on. Little, too,
        where the long calls set aside take more than that: each further one costs what settles several short cases.
        """
        fair = 0.0 if len(family.cases) == 1 else len(family.cases) * per_case - self._long_calls(family)
        return max(LITTLE * per_case, fair)

    def _per_case(self, spare: float) -> float:
        """The seconds per case with which all families left use up what is spare."""
        weight, set_aside = LITTLE * len(self._left), 0.0
        several = [(len(other.cases) - LITTLE, self._long_calls(other)) for other in self._left if len(other.cases) > 1]
        # Those that get more than little are the ones with the fewest seconds set aside per case.
        for more, long_calls in sorted(several, key=lambda one: one[1] / one[0]):
            if long_calls / more >= (spare + set_aside) / weight:
                break
            weight += more
            set_aside += long_calls
        return (spare + set_aside) / weight

    def _stretch(self) -> float:
        if not self._used:
            return 1.0
        return min(MAX_STRETCH, max(1.0, self._allotted / self._used))

    def done(
        self, family: Family, fixed_seconds: float | None = None, timing: tuple[float, float] | None = None
    ) -> None:
        """``family`` is finished.

        Args:
            fixed_seconds: what its stages before timing took, None if unknown.
            timing: seconds (allotted, used) for timing, None if it came to none.
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
            self._seen["compile"].append(max(0.0, fixed_seconds - eager) / len(compiled))
        elif family.cases and not self._long_calls(family):
            self._seen["eager"].append(fixed_seconds / len(family.cases))


def enough_for(families: Sequence[Family], seconds_per_case: float = SECONDS_PER_CASE) -> float:
    """A budget (seconds) that gives each case so much time, beside what its first call may take."""
    cases = [case for family in families for case in family.cases]
    return sum(seconds_per_case + (FIRST_GUESS[_kind(case.mode)] if case.slowdown == 1 else 0.0) for case in cases)


def _kind(mode: str) -> str:
    return "compile" if mode in COMPILED else "eager"
