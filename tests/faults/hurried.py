"""A plugin for ``pytest bench/``: real workers, and 0.05 s for timing each family, so that thousands take minutes."""

from bench.engine.budget import Budget
from bench.engine.case import Family

SECONDS = 0.05


def _allot(self: Budget, family: Family) -> float:
    del self, family
    return SECONDS


Budget.allot = _allot  # type: ignore[method-assign]
