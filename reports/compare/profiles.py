"""Explains why cases became slower or faster, by their profiles in both runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.read.run_file import Run

if TYPE_CHECKING:
    from torchduet.reports.profile.summary import Summary

MAX_CASES = 12  # whose traces are read
MAX_IN_SHORT = 3


@dataclass(frozen=True)
class Explanation:
    """A case that changed, with sentences on how its profile changed, or on why a trace cannot be used."""

    case: CaseRecord
    sentences: tuple[str, ...]


def explanations(comparison: Comparison) -> list[Explanation]:
    """The cases that became slower or faster and were profiled in both runs, the largest change first."""
    return [
        Explanation(change.case, tuple(_sentences(comparison, change))) for change in _profiled(comparison)[:MAX_CASES]
    ]


def on_gpus(comparison: Comparison) -> list[Explanation]:
    """The same in short for cases of GPUs: how their kernels changed; without those whose traces cannot be used."""
    from torchduet.reports.profile.difference import kernel_sentences
    from torchduet.reports.profile.trace import TraceError

    result = []
    for change in [change for change in _profiled(comparison) if not on_host(change.case["device"])][:MAX_IN_SHORT]:
        try:
            base, new = (_summary(run, record, change) for run, record in _sides(comparison, change))
        except TraceError:
            continue  # the page names it
        sentences = tuple(kernel_sentences(base, new, comparison.base.name, comparison.new.name))
        if sentences:
            result.append(Explanation(change.case, sentences[:2]))
    return result


def _profiled(comparison: Comparison) -> list[Change]:
    moved = sorted((*comparison.of("slower"), *comparison.of("faster")), key=_ratio)
    return [
        change
        for change in moved
        if change.base and change.new and "profile" in change.base and "profile" in change.new
    ]


def _sides(comparison: Comparison, change: Change) -> tuple[tuple[Run, Record], ...]:
    assert change.base is not None
    assert change.new is not None
    return (comparison.base, change.base), (comparison.new, change.new)


def _summary(run: Run, record: Record, change: Change) -> Summary:
    from torchduet.reports.profile.summary import summarise
    from torchduet.reports.profile.trace import read

    return summarise(read(run.folder / record["profile"]["trace"]), change.case["id"], change.case["device"])


def _ratio(change: Change) -> float:
    ratio = change.time.ratio if change.time else 1.0
    return min(ratio, 1 / ratio)


def _sentences(comparison: Comparison, change: Change) -> Sequence[str]:
    from torchduet.reports.profile.balance import disturbance
    from torchduet.reports.profile.difference import sentences
    from torchduet.reports.profile.trace import TraceError

    summaries = []
    sides = _sides(comparison, change)
    for run, record in sides:
        try:
            summaries.append(_summary(run, record, change))
        except TraceError as error:
            return [f"{run.name}: {record['profile']['trace']} {error}"]
    result = list(sentences(summaries[0], summaries[1], comparison.base.name, comparison.new.name))
    for run, record in sides:
        result += disturbance(record["profile"].get("interrupted", 0.0), f"the profiled calls in {run.name}")
    return result
