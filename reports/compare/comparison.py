"""The results of a comparison: the change of each case, and all changes of a run against the base."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from torchduet.bench.record.duets import peak_memory
from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.common_factor import CommonFactor
from torchduet.reports.compare.settings import Difference
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.run_file import Run
from torchduet.reports.shifts.leave_out import Array
from torchduet.reports.tables.visits import number_of_visits

VERDICTS = ("slower", "faster", "same", "unclear", "failed", "missing", "new")
JUDGED = VERDICTS[:4]
BLIND = 1.5  # a comparison that would not show a case that takes so many times as long is of no use


@dataclass(frozen=True)
class Change:
    """One case in two runs.

    Attributes:
        time: the change of its time per call; None unless both runs measured it.
        speedup: the change of its speed-up over its family's reference; None without one in both.
        why: the reason why it has no time in one of them.
    """

    case: CaseRecord
    verdict: str
    threshold: float
    base: Record | None = None
    new: Record | None = None
    time: Finding | None = None
    speedup: Finding | None = None
    why: str = ""

    @property
    def shown_from(self) -> float | None:
        """The least factor by which it would have to take longer to be called slower; None without an interval.

        By the width of its interval alone, whatever the shift that was measured: 1.12 is 12 % more time.
        """
        if self.time is None or self.time.high is None:
            return None
        return self.time.high / self.time.ratio * (1 + self.threshold)

    @property
    def memory(self) -> peak_memory.Change | None:
        """How the peak memory of a call changed; None unless both runs measured it."""
        if self.base is None or self.new is None:
            return None
        if "ranks" in self.base or "ranks" in self.new:
            return None  # threads of their own fill buckets for communication: the peak is not the same in every run
        return peak_memory.change(self.base.get("peak_bytes"), self.new.get("peak_bytes"))


@dataclass(frozen=True)
class Comparison:
    """One run compared with the base."""

    base: Run
    new: Run
    changes: tuple[Change, ...]
    differences: tuple[Difference, ...]
    cautions: tuple[str, ...]
    guarded: bool  # whether both runs have pilots
    asked: int  # number of times and speed-ups judged together, over all runs
    before: Mapping[str, Array] = field(repr=False, compare=False)  # case → logs of its placements' medians
    after: Mapping[str, Array] = field(repr=False, compare=False)
    common: CommonFactor | None = None  # by which the whole run took longer or less

    def of(self, verdict: str) -> list[Change]:
        """The changes of that verdict, the largest change of time first."""
        return list(self._by_verdict.get(verdict, ()))

    @cached_property
    def _by_verdict(self) -> dict[str, list[Change]]:
        groups: dict[str, list[Change]] = {}
        for change in sorted(
            self.changes, key=lambda change: -abs(math.log(change.time.ratio)) if change.time else 0.0
        ):
            groups.setdefault(change.verdict, []).append(change)
        return groups

    @cached_property
    def judged(self) -> int:
        """The number of cases that both runs measured."""
        return sum(change.time is not None for change in self.changes)

    @cached_property
    def visits(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """In either run, the fewest and the most visits to a case that both measured; None if any has none."""
        pairs = [(change.base, change.new) for change in self.changes if change.base and change.new]
        if not pairs:
            return None
        base, new = ([number_of_visits(record) for record in side] for side in zip(*pairs, strict=True))
        return ((min(base), max(base)), (min(new), max(new))) if min(*base, *new) else None

    @cached_property
    def shown_from(self) -> float | None:
        """The factor by which half of the cases would have to take longer to be called slower; None: infinite."""
        factors = [change.shown_from or math.inf for change in self.changes if change.time]
        middle = median(factors) if factors else math.inf
        return None if math.isinf(middle) else middle

    @property
    def blind(self) -> bool:
        """Whether no case has a verdict, nor would have one if it took 1.5 times as long: nothing can be concluded."""
        unclear = self._by_verdict.get("unclear", ())
        return 0 < self.judged == len(unclear) and all((change.shown_from or math.inf) > BLIND for change in unclear)

    @property
    def of_pytest_benchmark(self) -> bool:
        """Whether both are runs of plain pytest-benchmark, without alternation and without placements."""
        return isinstance(self.base, PytestBenchmarkRun)
