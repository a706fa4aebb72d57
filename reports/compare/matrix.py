"""Several runs side by side: one line per case, with what became of it in each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord
from torchduet.reports.compare.match import VERDICTS, Change, Comparison
from torchduet.reports.compare.settings import MACHINE, SELECTION, SOFTWARE
from torchduet.reports.text import units

MOVED = ("slower", "faster")
SYMBOLS = {
    **{"faster": "▲", "slower": "▼", "same": "■", "unclear": "○"},
    **{"failed": "✕", "missing": "−", "new": "+"},
}
URGENCY = ("slower", "faster", "failed", "unclear", "same", "missing", "new")
MAX_DIFFERENCES = 3


@dataclass(frozen=True)
class Line:
    """A case over all runs that are held against the base.

    Attributes:
        changes: one per run; None where neither that run nor the base has the case.
    """

    case: CaseRecord
    changes: tuple[Change | None, ...]

    @property
    def verdicts(self) -> list[str]:
        """Every verdict in the line, once."""
        found = {one.verdict for one in self.changes if one}
        return [verdict for verdict in VERDICTS if verdict in found]

    @property
    def moved(self) -> bool:
        """Whether it is shown to be slower or faster in any run."""
        return any(verdict in MOVED for verdict in self.verdicts)

    @property
    def measured(self) -> bool:
        """Whether the base and any other run have a time for it."""
        return any(one and one.time for one in self.changes)

    @property
    def furthest(self) -> int:
        """Which of the runs that measured it says most: the place of the most urgent verdict, the largest shift."""
        timed = [place for place, one in enumerate(self.changes) if one and one.time]
        return min(timed or range(len(self.changes)), key=lambda place: _urgency(self.changes[place]))


def matrix(comparisons: Sequence[Comparison]) -> list[Line]:
    """A line for every case of any run: what is slower somewhere first, then by the furthest shift."""
    found: dict[str, list[Change | None]] = {}
    cases: dict[str, CaseRecord] = {}
    for place, one in enumerate(comparisons):
        for change in one.changes:
            cases.setdefault(change.case["id"], change.case)
            found.setdefault(change.case["id"], [None] * len(comparisons))[place] = change
    lines = [Line(cases[case], tuple(changes)) for case, changes in found.items()]
    return sorted(lines, key=lambda line: min(map(_urgency, line.changes)))


def what_differs(one: Comparison) -> list[str]:
    """What sets a run apart from the base, for the head of its column: ``PyTorch 2.12.0``; the weightiest first."""
    about = [two for two in one.differences if two.kind != SELECTION]
    named = sorted(
        about, key=lambda two: (two.name not in ("GPU", "PyTorch", "CPU"), two.kind not in (MACHINE, SOFTWARE))
    )
    shown = [f"{two.name} {two.new}" for two in named[:MAX_DIFFERENCES]]
    left = len(named) - len(shown)
    return [*shown, *([f"{left} more"] if left else [])] or ["same machine, versions and settings"]


def cell_of(change: Change | None) -> str:
    """``▼ 0.89×``; a symbol alone where there is no ratio, nothing where there is no case."""
    if change is None:
        return ""
    ratio = f" {units.ratio(change.time.ratio)}" if change.time else f" {change.verdict}"
    return SYMBOLS[change.verdict] + ratio


def _urgency(change: Change | None) -> tuple[int, float]:
    if change is None:
        return len(URGENCY), 0.0
    return URGENCY.index(change.verdict), -abs(math.log(change.time.ratio)) if change.time else 0.0
