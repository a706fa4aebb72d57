"""Sharing the run's time among its families, and saying how much of it is left."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from bench.engine.case import Family

TIER_BUDGET = {"quick": 90.0, "default": 900.0, "full": 3600.0}  # seconds
LEAST_GUESS = {"eager": 0.05, "compile": 4.0}  # seconds until a case can be timed
LEAST_SECONDS = 0.4


class Budget:
    """Time for the run. What one family leaves over goes to those after it.

    A family's first calls (compilation above all) cost what they cost; the budget learns from those
    seen so far how much to set aside, and shares out the rest for timing by number of cases.
    """

    def __init__(self, seconds: float, families: Sequence[Family]) -> None:
        self._deadline = monotonic() + seconds
        self._left = list(families)
        self._seen: dict[str, list[float]] = {"eager": [], "compile": []}

    def _fixed(self, family: Family) -> float:
        return sum(self._cost(_kind(case.mode)) for case in family.cases)

    def _cost(self, kind: str) -> float:
        # Never below the first guess: small graphs, which compile fast, may come before large ones.
        seen = self._seen[kind]
        return max(LEAST_GUESS[kind], sum(seen) / len(seen) if seen else 0.0)

    def seconds_left(self) -> float:
        """Until the budget is used up; negative when it is overdrawn."""
        return self._deadline - monotonic()

    def allot(self, family: Family) -> float | None:
        """Seconds for timing ``family``'s blocks; None when nothing is left of the budget."""
        if self.seconds_left() <= 0:
            return None
        fixed = sum(self._fixed(other) for other in self._left)
        cases = sum(len(other.cases) for other in self._left)
        share = (self.seconds_left() - fixed) * len(family.cases) / max(cases, 1)
        return max(share, LEAST_SECONDS)

    def done(self, family: Family, fixed_seconds: float | None = None) -> None:
        """``family`` is finished; its stages before timing took ``fixed_seconds``, None if unknown."""
        self._left = [other for other in self._left if other is not family]
        if fixed_seconds is None:
            return
        compiled = [case for case in family.cases if _kind(case.mode) == "compile"]
        if compiled:
            eager = (len(family.cases) - len(compiled)) * self._cost("eager")
            self._seen["compile"].append(max(0.0, fixed_seconds - eager) / len(compiled))
        elif family.cases:
            self._seen["eager"].append(fixed_seconds / len(family.cases))


def _kind(mode: str) -> str:
    return "eager" if mode == "eager" else "compile"
