"""Makes tables of a run: one row per case, one row per comparison that an answer can rest on."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from torchduet.bench.record.duets.sides import from_new
from torchduet.bench.record.duets.sides import sides as sides_of
from torchduet.bench.record.knobs import NAMES
from torchduet.bench.record.marks import of_comparison, other_samples, short_marks
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS, side_of
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables import kernels
from torchduet.reports.tables.baselines import (
    Baseline,
    compiles_beside_eager,
    only_this_compiles,
    pay_off,
    warm_start,
)
from torchduet.reports.tables.comparisons import answerable, tied_families
from torchduet.reports.tables.ranks import other_work
from torchduet.reports.tables.removed_work import MARK, removed_work
from torchduet.reports.tables.roofline import Bound, bounds
from torchduet.reports.text.settings import KNOBS, TOGETHER, setting, setting_words, settings

CASE_COLUMNS = [
    *("id", "anchor", "family", "suite", "workload", "size", "sizes", *NAMES, "bound_by", "share_of_ceiling"),
    *(
        "reference",
        "seconds",
        "low",
        "high",
        "flops_per_second",
        "bytes_per_second",
        "samples_per_second",
        "sample_unit",
    ),
    *("ratio", "ratio_low", "ratio_high", "verdict", "against", "threshold", "marks", *kernels.COLUMNS),
]
COMPARISON_COLUMNS = [
    *("knob", "value", "baseline", "id", "anchor", "suite", "workload", "name", "setting", "ratio", "low", "high"),
    *("placements", "visits", "deviation", "degrees", "threshold", "confidence", "verdict", "relative_error"),
    *("seconds", "baseline_seconds", "compiled", "first_call", "marks", "both_compiled", "other_work"),
    *("pays_after", "pays_after_low", "pays_after_high", "pays_seconds", "warm_start", "warm_pays_after"),
    *kernels.COLUMNS,
]


@dataclass(frozen=True)
class Frames:
    """Both tables; times in seconds, rates per second, ratios above 1 mean faster than the baseline.

    Attributes:
        cases: a row per case, with its speed-up against its family's reference (NaN for the reference); of a duet, that
            of the new side against the base.
        comparisons: a row per case and knob; ``pays_*`` only where a compiled case is faster than a baseline that
            is not compiled; ``both_compiled``: the eager side of the knob ``mode`` calls compiled code, too;
            ``other_work``: the two do different work (``ranks.other_work``); ``seconds`` and ``baseline_seconds``: per
            call of each side (NaN: the file does not say);
            ``visits``: how many there were (NaN: a file without visits), ``deviation`` and ``degrees``: what an
            interval over them rests on (``schema.IntervalRecord``).

    In both, ``kernel_*`` is the speed-up of the device's own work (NaN and "" where it is not known).
    """

    cases: pd.DataFrame
    comparisons: pd.DataFrame


def frames(run: Run) -> Frames:
    """Both tables of a run, in the order of its file."""
    varied = _varied(run)
    limits = bounds(run)
    by_id = {record["case"]["id"]: record for record in run.records}
    tied = tied_families(run, by_id)
    removed, sides = removed_work(run), _sides(run)
    cases = [
        _case_row(record, anchor(index), limits.get(record["case"]["id"]), removed, by_id)
        | sides.get(record["case"]["id"], {})
        for index, record in enumerate(run.records)
    ]
    comparisons = [
        _comparison_row(record, anchor(index), speedup, baseline, varied[_workload(record)])
        | {
            "marks": _marks(of_comparison(record, by_id.get(speedup["against"])), record, removed),
            "other_work": other_work(record, by_id.get(speedup["against"]), speedup),
        }
        for index, record in enumerate(run.records)
        for speedup, baseline in answerable(record, by_id, record["case"]["family"] in tied)
    ]
    return Frames(
        cases=pd.DataFrame(cases, columns=CASE_COLUMNS),
        comparisons=pd.DataFrame(comparisons, columns=COMPARISON_COLUMNS),
    )


def _sides(run: Run) -> dict[str, dict[str, Any]]:
    """Of a duet, by case: the new side's comparison with the base, in the columns of that with a reference."""
    duet = run.about.get("against")
    if duet is None:
        return {}
    label = sides_of(duet).base_side["label"]
    return {
        record["case"]["id"]: {
            "ratio": against["ratio"],
            "ratio_low": against["low"],
            "ratio_high": against["high"],
            **{key: against[key] for key in ("verdict", "threshold")},
            "against": label,
        }
        for record in from_new(duet, run.records)
        if (against := record.get("against")) is not None
    }


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """A frame's rows as named tuples: those of ``itertuples``, which makes their class anew each time."""
    return map(_row_type(tuple(frame.columns)), *(column.tolist() for _, column in frame.items()))


@cache
def _row_type(columns: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("Row", columns)


def settled(rows: pd.DataFrame) -> pd.Series[bool]:
    """Which comparisons' intervals give a verdict of faster, slower or same, whatever verdict the file records."""
    sides = [
        not without and side_of(math.log(row.low), math.log(row.high), row.threshold) != "unclear"
        for row, without in zip(each(rows), without_interval(rows), strict=True)
    ]
    return pd.Series(sides, index=rows.index, dtype=bool)


def without_interval(rows: pd.DataFrame) -> pd.Series[bool]:
    """Which comparisons have no interval, as they rest on too few visits; in a file without them, placements."""
    return rows["low"].isna() | (rows["visits"].isna() & (rows["placements"] < MIN_PLACEMENTS))


def anchor(index: int) -> str:
    """The id of a case's details in the page: from its position in the file, so that it contains no name."""
    return f"case-{index + 1}"


def _varied(run: Run) -> dict[str, set[str]]:
    """Per workload, the knobs in which its cases differ, which their names must therefore include."""
    values: dict[str, dict[str, set[str]]] = {}
    for record in run.records:
        knobs = values.setdefault(_workload(record), {knob: set() for knob in KNOBS})
        for knob, seen in knobs.items():
            seen.add(setting(record, knob))
    return {workload: {knob for knob, seen in knobs.items() if len(seen) > 1} for workload, knobs in values.items()}


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _workload(record: Record) -> str:
    return f"{record['case']['suite']}.{record['case']['workload']}"


def _marks(marks: str, record: Record, removed: Mapping[str, str]) -> str:
    """The marks of a row, with that of a case which takes less time than its work needs."""
    return "; ".join(filter(None, (marks, MARK if record["case"]["id"] in removed else "")))


def _case_row(
    record: Record, case_anchor: str, limit: Bound | None, removed: Mapping[str, str], by_id: Mapping[str, Record]
) -> dict[str, Any]:
    case, timing, cost = record["case"], record["timing"], record["cost"]
    overall = next((speedup for speedup in record["speedups"] if speedup["knob"] == "reference"), None)
    seconds = timing["seconds"]
    of_work = other_samples(record, by_id.get(overall["against"])) if overall else ""
    return {
        **case,
        "anchor": case_anchor,
        "size": case["size_label"],
        "sizes": case["size"],
        **settings(record),
        "bound_by": limit.kind if limit else "",
        "share_of_ceiling": limit.share if limit else None,
        "seconds": seconds,
        "low": timing["low"],
        "high": timing["high"],
        "flops_per_second": cost["flops"] / seconds if "flops" in cost else None,
        "bytes_per_second": cost["bytes"] / seconds if "bytes" in cost else None,
        "samples_per_second": cost["samples"] / seconds if "samples" in cost else None,
        "sample_unit": cost.get("unit", "samples") if "samples" in cost else "",
        "ratio": overall["ratio"] if overall else None,
        "ratio_low": overall["low"] if overall else None,
        "ratio_high": overall["high"] if overall else None,
        "verdict": overall["verdict"] if overall else "",
        "against": overall["against"] if overall else "",
        "threshold": overall["threshold"] if overall else None,
        **kernels.row_of(overall),
        "marks": _marks("; ".join(filter(None, (short_marks(record), of_work))), record, removed),
    }


def _comparison_row(
    record: Record, case_anchor: str, speedup: SpeedupRecord, baseline: Baseline, varied: set[str]
) -> dict[str, Any]:
    case = record["case"]
    parts = (
        case["size_label"].replace(",", ", "),
        *(setting_words(record, knob) for knob in NAMES if knob in varied and speedup["knob"] not in (knob, TOGETHER)),
    )
    words = " · ".join(part for part in parts if part)
    rests_on = speedup.get("interval")
    return {
        **speedup,
        "visits": len(speedup["visit_ratios"]) if "visit_ratios" in speedup else None,
        "deviation": rests_on["deviation"] if rests_on else None,
        "degrees": rests_on["degrees"] if rests_on else None,
        "id": case["id"],
        "anchor": case_anchor,
        "suite": case["suite"],
        "workload": _workload(record),
        "name": f"{_workload(record)} {words}".strip(),
        "setting": words,
        "relative_error": record["check"]["relative_error"],
        "seconds": record["timing"]["seconds"],
        "baseline_seconds": _or_nan(baseline.seconds),
        "compiled": only_this_compiles(record, baseline),
        "both_compiled": compiles_beside_eager(record, baseline, speedup),
        "first_call": record["first_call"]["seconds"],
        "warm_start": warm_start(record),
        **pay_off(record, baseline, speedup),
        **kernels.row_of(speedup),
    }
