"""Explains why cases became slower or faster, by their profiles in both runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.read.run_file import Run

MAX_CASES = 12  # whose traces are read


@dataclass(frozen=True)
class Explanation:
    """A case that changed, with sentences on how its profile changed, or on why a trace cannot be used."""

    case: CaseRecord
    sentences: tuple[str, ...]


def explanations(comparison: Comparison) -> list[Explanation]:
    """The cases that became slower or faster and were profiled in both runs, the largest change first."""
    moved = sorted((*comparison.of("slower"), *comparison.of("faster")), key=_ratio)
    profiled = [
        change
        for change in moved
        if change.base and change.new and "profile" in change.base and "profile" in change.new
    ]
    return [Explanation(change.case, tuple(_sentences(comparison, change))) for change in profiled[:MAX_CASES]]


def _ratio(change: Change) -> float:
    ratio = change.time.ratio if change.time else 1.0
    return min(ratio, 1 / ratio)


def _sentences(comparison: Comparison, change: Change) -> Sequence[str]:
    from torchduet.reports.profile.balance import disturbance
    from torchduet.reports.profile.difference import sentences
    from torchduet.reports.profile.summary import summarise
    from torchduet.reports.profile.trace import TraceError, read

    summaries = []
    sides: tuple[tuple[Run, Record | None], ...] = ((comparison.base, change.base), (comparison.new, change.new))
    for run, record in sides:
        assert record is not None
        trace = record["profile"]["trace"]
        try:
            summaries.append(summarise(read(run.folder / trace), change.case["id"], change.case["device"]))
        except TraceError as error:
            return [f"{run.name}: {trace} {error}"]
    result = list(sentences(summaries[0], summaries[1], comparison.base.name, comparison.new.name))
    for run, record in sides:
        assert record is not None
        result += disturbance(record["profile"].get("interrupted", 0.0), f"the profiled calls in {run.name}")
    return result
