"""The outcome of each duet of a session, as plain data for the table, for the file and between processes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torchduet.bench.library.merging import Part
    from torchduet.comparison import Comparison

FAILED, SKIPPED = "failed", "skipped"


@dataclass(frozen=True)
class Row:
    """One case held against the baseline's; ``low`` and ``high`` are None where there is no interval."""

    function: str
    against: str
    speedup: float | None
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class Outcome:
    """One duet.

    Attributes:
        nodeid: of the test.
        suite, workload: the name of its cases.
        rows: its comparisons, and its cases without a result.
        records: of its cases, as in a run's file.
        run: the record of its run; None if measuring did not begin.
        threshold: up to which differences are *same*.
        alone: why no fresh process has measured it; empty if one has, or none was wanted.
    """

    nodeid: str
    suite: str
    workload: str
    rows: Sequence[Row]
    records: Sequence[Any] = ()
    run: Any = None
    threshold: float = math.nan
    alone: str = ""

    @property
    def name(self) -> str:
        """``test_layers.test_attention[64]``."""
        return f"{self.suite}.{self.workload}"


@dataclass
class Duets:
    """The duets of a session, in the order in which they ended.

    Attributes:
        lines: what else is to be said at the end of the session.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)

    def add(
        self,
        nodeid: str,
        name: tuple[str, str],
        comparison: Comparison | None,
        error: str = "",
        *,
        processes: bool = True,
    ) -> None:
        """Keep what a duet found; one whose test had a duet before is numbered.

        Args:
            comparison: None if measuring did not begin.
            error: why it failed.
            processes: whether fresh processes were wanted.
        """
        suite, workload = self._free(nodeid, *name)
        if comparison is None:
            self.outcomes.append(Outcome(nodeid, suite, workload, [Row("", "", None, None, None, FAILED)]))
            return
        from torchduet.bench.library.merging import Part, renamed

        finished = comparison._finished
        part = renamed(Part(finished.records, finished.run), suite, workload)
        rows = rows_of(comparison)
        if error and not any(row.verdict == FAILED for row in rows):
            rows.append(Row("", comparison.baseline, None, None, None, FAILED))
        alone = finished.alone if processes and part.records else ""
        self.outcomes.append(
            Outcome(nodeid, suite, workload, rows, part.records, part.run, comparison.threshold, alone)
        )

    def _free(self, nodeid: str, suite: str, workload: str) -> tuple[str, str]:
        """The name, or one that no other duet of the session has."""
        taken = {(of.suite, of.workload): of.nodeid for of in self.outcomes}
        if taken.get((suite, workload), nodeid) != nodeid:  # such as a.b/test_c.py beside a/b/test_c.py
            suite = nodeid.partition("::")[0]
        number, free = 1, workload
        while (suite, free) in taken:
            number += 1
            free = f"{workload} #{number}"
        return suite, free

    def part(self) -> Part | None:
        """All duets as one run; None if none was measured."""
        from torchduet.bench.library.merging import Part, merged

        parts = [Part(of.records, of.run) for of in self.outcomes if of.run is not None]
        return merged(parts) if parts else None

    def to_text(self) -> str:
        """For another process."""
        return json.dumps([asdict(of) for of in self.outcomes])

    def add_text(self, text: str) -> None:
        """Add what :meth:`to_text` has made in another process."""
        for of in json.loads(text):
            self.outcomes.append(Outcome(**{**of, "rows": [Row(**row) for row in of["rows"]]}))


DUETS = pytest.StashKey[Duets]()


def rows_of(comparison: Comparison) -> list[Row]:
    """A row for each case but the baseline, and for each without a result."""
    from torchduet.result import label_of

    rows = []
    for result in comparison.results:
        if (other := result.baseline) is not None:
            against = other.name if other.name != result.name else label_of(other)
            low, high = _known([result.low, result.high])
            rows.append(Row(label_of(result), against, result.speedup, low, high, result.verdict))
    without = ((FAILED, comparison._finished.run["failed"]), (SKIPPED, comparison._finished.run["skipped"]))
    for verdict, entries in without:
        for entry in entries:
            case = entry["case"]
            settings = [setting for setting in (case["mode"], case["precision"]) if setting not in ("eager", "fp32")]
            label = " ".join(filter(None, (case["implementation"], case["size_label"], *settings)))
            rows.append(Row(label, comparison.baseline, None, None, None, verdict))
    return rows


def _known(values: Iterable[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
