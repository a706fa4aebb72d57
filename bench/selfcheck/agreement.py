"""How far repeated runs of the same code agree: a pure function of their records.

Pairs of runs that share a run depend on each other, so the bounds of their shares are somewhat too narrow.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from torchduet.bench.record.proportions import clopper_pearson
from torchduet.bench.record.schema import (
    GROUPS,
    AgreementOfRecord,
    AgreementRecord,
    Record,
    ShareRecord,
    SpeedupRecord,
    Verdict,
)
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.statistics import half_width
from torchduet.bench.run.aa_summary import kind_of

EIGHTH_DECILE = 7  # of the nine that divide tenths
Runs = Sequence[Sequence[Record]]
Interval = tuple[float, float]
Names = tuple[str, str, str]  # the case's id, the knob, the other case's id


@dataclass(frozen=True)
class Value:
    """One run's answer about one speed-up; ``interval`` is None where it has none."""

    ratio: float
    interval: Interval | None
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """One speed-up in the runs that have it, and the groups that it belongs to."""

    values: Mapping[int, Value]  # by the number of the run
    groups: frozenset[str]


def comparisons(runs: Runs) -> dict[Names, Comparison]:
    """Every counted speed-up that any run has."""
    values: dict[Names, dict[int, Value]] = {}
    kinds: dict[Names, Counter[str]] = {}
    compiled: dict[Names, bool] = {}
    for number, records in enumerate(runs):
        for record in records:
            for speedup in counted(record):
                names = (record["case"]["id"], speedup["knob"], speedup["against"])
                values.setdefault(names, {})[number] = _value(speedup)
                kinds.setdefault(names, Counter())[kind_of(record)] += 1
                compiled[names] = compiled.get(names, False) or _compiled(record, speedup)
    return {
        # A call near a limit is counted where most runs count it.
        names: Comparison(
            of_runs, frozenset({kinds[names].most_common(1)[0][0], "compiled" if compiled[names] else "uncompiled"})
        )
        for names, of_runs in values.items()
    }


def _value(speedup: SpeedupRecord) -> Value:
    low, high = speedup["low"], speedup["high"]
    return Value(speedup["ratio"], None if low is None or high is None else (low, high), speedup["verdict"])


def _compiled(record: Record, speedup: SpeedupRecord) -> bool:
    return record["compile"] is not None or speedup.get("baseline_compiled", False)


def agreement(compared: Iterable[Comparison]) -> AgreementRecord:
    """The figures over some speed-ups; those of one run alone say nothing and do not count."""
    repeated = [comparison for comparison in compared if len(comparison.values) > 1]
    pairs = [pair for comparison in repeated for pair in itertools.combinations(comparison.values.values(), 2)]
    intervals = [(a.interval, b.interval) for a, b in pairs if a.interval and b.interval]
    apart = [abs(math.log(a.ratio / b.ratio)) for a, b in pairs]
    answers = [value for comparison in repeated for value in comparison.values.values()]
    widths = [half_width(*(value.interval or (None, None))) for value in answers]
    return AgreementRecord(
        comparisons=len(repeated),
        disjoint=share([disjoint(a, b) for a, b in intervals]),
        contradictions=share([{a.verdict, b.verdict} == {"faster", "slower"} for a, b in pairs]),
        held=share([held for comparison in repeated for held in _held(comparison)]),
        unbounded=sum(math.isinf(width) for width in widths),
        half_width=_finite(median(widths)) if widths else None,
        apart=median(apart) if apart else None,
        apart_eighth=_eighth_decile(apart),
    )


def disjoint(a: Interval, b: Interval) -> bool:
    """Whether two intervals have no number in common."""
    return a[1] < b[0] or b[1] < a[0]


def _held(comparison: Comparison) -> Iterable[bool]:
    """For each run with an interval, whether that holds the median of the other runs' estimates."""
    for number, value in comparison.values.items():
        others = [other.ratio for run, other in comparison.values.items() if run != number]
        if value.interval is not None:
            low, high = value.interval
            yield low <= math.exp(median(map(math.log, others))) <= high


def _eighth_decile(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=10, method="inclusive")[EIGHTH_DECILE]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def share(outcomes: Sequence[bool]) -> ShareRecord:
    """How many of the outcomes are true, with bounds."""
    count, trials = sum(outcomes), len(outcomes)
    low, high = clopper_pearson(count, trials) if trials else (0.0, 1.0)
    return ShareRecord(count=count, trials=trials, low=low, high=high)


def by_group(compared: Iterable[Comparison]) -> list[AgreementOfRecord]:
    """The figures of each group that has any."""
    compared = list(compared)
    groups = {name: agreement(one for one in compared if name in one.groups) for name in GROUPS}
    return [AgreementOfRecord(group=name, **figures) for name, figures in groups.items() if figures["comparisons"]]


def incomplete(runs: Runs) -> dict[str, list[int]]:
    """What some runs have and others lack → the numbers of these: cases, and speed-ups of cases that have a record."""
    cases = [{record["case"]["id"] for record in records} for records in runs]
    lacking = {
        name: [number for number, present in enumerate(cases) if name not in present]
        for name in dict.fromkeys(record["case"]["id"] for records in runs for record in records)
    }
    for (case, _, other), comparison in comparisons(runs).items():
        without = [number for number in range(len(runs)) if number not in comparison.values and case in cases[number]]
        lacking[f"{case} against {other}"] = without
    return {name: numbers for name, numbers in lacking.items() if numbers}
