"""A plugin for ``pytest bench/``: real workers, and 0.05 s for timing in each visit, so that thousands take minutes."""

from torchduet.bench.cases.case import Family
from torchduet.bench.plan import visits
from torchduet.bench.plan.budget import Budget

SECONDS = 0.05


def _allot(self: Budget, family: Family) -> float:
    del self, family
    return SECONDS


Budget.allot = _allot  # type: ignore[method-assign]
visits.MIN_VISIT_SECONDS = visits.SECONDS_PER_CASE = SECONDS
visits.LONE_VISITS = 2  # a first visit, and a later one
