"""A run as tables: one row per case, one row per comparison that changes a single knob."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import NAMES
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS, side_of
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.baselines import Baseline, only_this_compiles, pay_off
from torchduet.reports.tables.comparisons import telling, tied_families
from torchduet.reports.tables.roofline import Bound, bounds
from torchduet.reports.text.settings import KNOBS, TOGETHER, setting, settings, spoken

CASE_COLUMNS = [
    *("id", "anchor", "family", "suite", "workload", "size", "sizes", *NAMES, "bound_by", "share_of_ceiling"),
    *("reference", "seconds", "low", "high", "flops_per_second", "bytes_per_second", "samples_per_second"),
    *("ratio", "ratio_low", "ratio_high", "verdict", "against", "threshold"),
]
COMPARISON_COLUMNS = [
    *("knob", "value", "baseline", "id", "anchor", "suite", "workload", "name", "setting", "ratio", "low", "high"),
    *("placements", "threshold", "confidence", "verdict", "relative_error", "compiled", "first_call"),
    *("pays_after", "pays_after_low", "pays_after_high", "pays_seconds"),
]


@dataclass(frozen=True)
class Frames:
    """Both tables; times in seconds, rates per second, ratios above 1 mean faster than the baseline.

    Attributes:
        cases: a row per case, with its speed-up against its family's reference (NaN for the reference).
        comparisons: a row per case and knob; ``pays_*`` only where something compiled is held against
            something that is not, and is faster.
    """

    cases: pd.DataFrame
    comparisons: pd.DataFrame


def frames(run: Run) -> Frames:
    """Both tables of a run, in the order of its file."""
    varied = _varied(run)
    limits = bounds(run)
    by_id = {record["case"]["id"]: record for record in run.records}
    tied = tied_families(run, by_id)
    cases = [
        _case_row(record, anchor(index), limits.get(record["case"]["id"])) for index, record in enumerate(run.records)
    ]
    comparisons = [
        _comparison_row(record, anchor(index), one, baseline, varied[_workload(record)])
        for index, record in enumerate(run.records)
        for one, baseline in telling(record, by_id, record["case"]["family"] in tied)
    ]
    return Frames(
        cases=pd.DataFrame(cases, columns=CASE_COLUMNS),
        comparisons=pd.DataFrame(comparisons, columns=COMPARISON_COLUMNS),
    )


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """A frame's rows as named tuples."""
    return iter(frame.itertuples())


def settled(rows: pd.DataFrame) -> pd.Series[bool]:
    """Which comparisons' intervals say faster, slower or same by themselves, whatever verdict stands in the file."""
    sides = [
        row.placements >= MIN_PLACEMENTS
        and not pd.isna(row.low)
        and side_of(math.log(row.low), math.log(row.high), row.threshold) != "unclear"
        for row in each(rows)
    ]
    return pd.Series(sides, index=rows.index, dtype=bool)


def anchor(index: int) -> str:
    """The id of a case's details within the page: its place in the file, so that no name gets into it."""
    return f"case-{index + 1}"


def _varied(run: Run) -> dict[str, set[str]]:
    """Per workload, the knobs in which its cases differ: what has to be said to tell them apart."""
    found: dict[str, dict[str, set[str]]] = {}
    for record in run.records:
        knobs = found.setdefault(_workload(record), {knob: set() for knob in KNOBS})
        for knob, seen in knobs.items():
            seen.add(setting(record, knob))
    return {workload: {knob for knob, seen in knobs.items() if len(seen) > 1} for workload, knobs in found.items()}


def _workload(record: Record) -> str:
    return f"{record['case']['suite']}.{record['case']['workload']}"


def _case_row(record: Record, its_anchor: str, limit: Bound | None) -> dict[str, Any]:
    case, timing, cost = record["case"], record["timing"], record["cost"]
    held = next((one for one in record["speedups"] if one["knob"] == "reference"), None)
    seconds = timing["seconds"]
    return {
        **case,
        "anchor": its_anchor,
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
        "ratio": held["ratio"] if held else None,
        "ratio_low": held["low"] if held else None,
        "ratio_high": held["high"] if held else None,
        "verdict": held["verdict"] if held else "",
        "against": held["against"] if held else "",
        "threshold": held["threshold"] if held else None,
    }


def _comparison_row(
    record: Record, its_anchor: str, one: SpeedupRecord, baseline: Baseline, varied: set[str]
) -> dict[str, Any]:
    case = record["case"]
    said = (
        case["size_label"].replace(",", ", "),
        *(spoken(record, knob) for knob in NAMES if knob in varied and one["knob"] not in (knob, TOGETHER)),
    )
    where = " · ".join(part for part in said if part)
    return {
        **one,
        "id": case["id"],
        "anchor": its_anchor,
        "suite": case["suite"],
        "workload": _workload(record),
        "name": f"{_workload(record)} {where}".strip(),
        "setting": where,
        "relative_error": record["check"]["relative_error"],
        "compiled": only_this_compiles(record, baseline),
        "first_call": record["first_call"]["seconds"],
        **pay_off(record, baseline, one),
    }
