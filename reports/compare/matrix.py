"""Puts several runs side by side: one line per case, with its change in each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.machines.facts import MACHINE, SELECTION, SOFTWARE
from torchduet.bench.record.schema import CaseRecord
from torchduet.bench.record.words.counting import plural
from torchduet.reports.compare.comparison import VERDICTS, Change, Comparison
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
    """A case over all runs that are compared with the base.

    Attributes:
        changes: one per run; None where neither that run nor the base has the case.
    """

    case: CaseRecord
    changes: tuple[Change | None, ...]

    @property
    def verdicts(self) -> list[str]:
        """Every verdict in the line, once."""
        present = {change.verdict for change in self.changes if change}
        return [verdict for verdict in VERDICTS if verdict in present]

    @property
    def moved(self) -> bool:
        """Whether the case is shown to be slower or faster in any run."""
        return any(verdict in MOVED for verdict in self.verdicts)

    @property
    def measured(self) -> bool:
        """Whether the base and any other run have a time for it."""
        return any(change and change.time for change in self.changes)

    @property
    def most_urgent(self) -> int:
        """Index of the run with the most urgent verdict among those that measured the case; then, the largest shift."""
        timed = [index for index, change in enumerate(self.changes) if change and change.time]
        return min(timed or range(len(self.changes)), key=lambda index: _urgency(self.changes[index]))


def matrix(comparisons: Sequence[Comparison]) -> list[Line]:
    """A line for every case of any run, by the most urgent verdict, slower first, then by the largest shift."""
    changes_of: dict[str, list[Change | None]] = {}
    cases: dict[str, CaseRecord] = {}
    for index, comparison in enumerate(comparisons):
        for change in comparison.changes:
            cases.setdefault(change.case["id"], change.case)
            changes_of.setdefault(change.case["id"], [None] * len(comparisons))[index] = change
    lines = [Line(cases[case], tuple(changes)) for case, changes in changes_of.items()]
    return sorted(lines, key=lambda line: min(map(_urgency, line.changes)))


def what_differs(comparison: Comparison) -> list[str]:
    """How a run differs from the base, for the head of its column: ``PyTorch 2.12.0``; the most important first."""
    differences = sorted(
        (difference for difference in comparison.differences if difference.kind != SELECTION),
        key=lambda difference: (
            difference.name not in ("GPU", "PyTorch", "CPU"),
            difference.kind not in (MACHINE, SOFTWARE),
        ),
    )
    shown = [f"{difference.name} {difference.new}" for difference in differences[:MAX_DIFFERENCES]]
    hidden = len(differences) - len(shown)
    return [*shown, *([f"{hidden} more"] if hidden else [])] or ["same machine, versions and settings"]


def cell_of(change: Change | None) -> str:
    """``▼ 0.89×``; symbol and verdict where there is no ratio; empty where there is no case."""
    if change is None:
        return ""
    ratio = f" {units.ratio(change.time.ratio)}" if change.time else f" {change.verdict}"
    return SYMBOLS[change.verdict] + ratio


def _urgency(change: Change | None) -> tuple[int, float]:
    if change is None:
        return len(URGENCY), 0.0
    return URGENCY.index(change.verdict), -abs(math.log(change.time.ratio)) if change.time else 0.0


def moved_anywhere(moved: Sequence[Line], lines: Sequence[Line]) -> str:
    """``3 of 61 cases are slower or faster in at least one``."""
    cases = plural(len(lines), "case")
    if not moved and not any(verdict == "same" for line in lines for verdict in line.verdicts):
        return f"these runs can give no verdict on any of {cases}"
    if not moved:
        which = "the only case" if len(lines) == 1 else f"none of {cases}"
        return f"{which} is {'neither slower nor' if len(lines) == 1 else 'slower or'} faster in any"
    return f"{len(moved)} of {cases} {'is' if len(moved) == 1 else 'are'} slower or faster in at least one"
