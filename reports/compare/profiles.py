"""What became of a case's profile from one run to the other: why it is slower or faster, as far as traces tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.match import Change, Comparison
from torchduet.reports.read.run_file import Run

MAX = 12  # cases whose traces are read


@dataclass(frozen=True)
class Why:
    """A case that changed, with what its two profiles say of that, or why one of them says nothing."""

    case: CaseRecord
    says: tuple[str, ...]


def whys(one: Comparison) -> list[Why]:
    """Of the cases that became slower or faster and were profiled in both runs, the furthest first."""
    moved = sorted((*one.of("slower"), *one.of("faster")), key=_ratio)
    profiled = [
        change
        for change in moved
        if change.base and change.new and "profile" in change.base and "profile" in change.new
    ]
    return [Why(change.case, tuple(_says(one, change))) for change in profiled[:MAX]]


def _ratio(change: Change) -> float:
    ratio = change.time.ratio if change.time else 1.0
    return min(ratio, 1 / ratio)


def _says(one: Comparison, change: Change) -> Sequence[str]:
    from torchduet.reports.profile.balance import disturbance
    from torchduet.reports.profile.difference import sentences
    from torchduet.reports.profile.summary import summarise
    from torchduet.reports.profile.trace import TraceError, read

    summaries = []
    sides: tuple[tuple[Run, Record | None], ...] = ((one.base, change.base), (one.new, change.new))
    for run, record in sides:
        assert record is not None
        trace = record["profile"]["trace"]
        try:
            summaries.append(summarise(read(run.folder / trace), change.case["id"], change.case["device"]))
        except TraceError as error:
            return [f"{run.name}: {trace} {error}"]
    found = list(sentences(summaries[0], summaries[1], one.base.name, one.new.name))
    for run, record in sides:
        assert record is not None
        found += disturbance(record["profile"].get("interrupted", 0.0), f"the profiled calls in {run.name}")
    return found
