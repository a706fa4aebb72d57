"""A run as tables: one row per case, one row per comparison that changes a single knob."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.engine.estimate import calls_to_pay_off
from bench.engine.schema import Record, SpeedupRecord
from reports.load import Run
from reports.roofline import Bound, bounds

KNOBS = ("mode", "precision", "device", "workers", "implementation")
TOGETHER = "together"  # several knobs at once

CASE_COLUMNS = [
    *("id", "anchor", "family", "suite", "workload", "size", "sizes", "implementation", "device", "mode", "precision"),
    *("workers", "bound_by", "share_of_ceiling"),
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
    tied = _tied(run)
    by_id = {record["case"]["id"]: record for record in run.records}
    cases = [
        _case_row(record, anchor(index), limits.get(record["case"]["id"])) for index, record in enumerate(run.records)
    ]
    comparisons = [
        _comparison_row(record, anchor(index), one, by_id, varied[_workload(record)])
        for index, record in enumerate(run.records)
        for one in _single_knob(record, by_id, record["case"]["family"] in tied)
    ]
    return Frames(
        cases=pd.DataFrame(cases, columns=CASE_COLUMNS),
        comparisons=pd.DataFrame(comparisons, columns=COMPARISON_COLUMNS),
    )


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """A frame's rows as named tuples."""
    return iter(frame.itertuples())


def anchor(index: int) -> str:
    """The id of a case's details within the page: its place in the file, so that no name gets into it."""
    return f"case-{index + 1}"


def _varied(run: Run) -> dict[str, set[str]]:
    """Per workload, the knobs in which its cases differ: what has to be said to tell them apart."""
    found: dict[str, dict[str, set[str]]] = {}
    for record in run.records:
        knobs = found.setdefault(_workload(record), {knob: set() for knob in KNOBS})
        for knob, settings in knobs.items():
            settings.add(setting(record, knob))
    return {
        workload: {knob for knob, settings in knobs.items() if len(settings) > 1} for workload, knobs in found.items()
    }


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
        "workers": setting(record, "workers"),
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


def _tied(run: Run) -> set[str]:
    """The families in which mode, precision and workers come with the implementation, as in a path of steps."""
    settings: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for record in run.records:
        case = record["case"]
        its = tuple(setting(record, knob) for knob in ("mode", "precision", "workers"))
        settings.setdefault(case["family"], {}).setdefault(case["implementation"], set()).add(its)
    return {
        family
        for family, found in settings.items()
        if all(len(own) == 1 for own in found.values()) and len(set().union(*found.values())) > 1
    }


def _single_knob(record: Record, by_id: dict[str, Record], tied: bool) -> list[SpeedupRecord]:
    """A record's comparisons that an answer can rest on.

    Those of one knob as they stand; and the one against the reference where several knobs differ,
    as the answer to "all of them together", or to the implementation that they are ``tied`` to.
    """
    single = [one for one in record["speedups"] if one["knob"] != "reference"]
    for one in record["speedups"]:
        other = by_id.get(one["against"])
        if one["knob"] != "reference" or other is None:
            continue
        differing = [knob for knob in KNOBS if setting(record, knob) != setting(other, knob)]
        if tied and "implementation" in differing and len(differing) > 1:
            value, baseline = setting(record, "implementation"), setting(other, "implementation")
            single.append({**one, "knob": "implementation", "value": value, "baseline": baseline})
        elif len(differing) > 1:
            value = " + ".join(spoken(record, knob) for knob in differing)
            baseline = " + ".join(spoken(other, knob) for knob in differing)
            single.append({**one, "knob": TOGETHER, "value": value, "baseline": baseline})
    return single


def setting(record: Record, knob: str) -> str:
    """A record's setting of a knob; empty where its workload does not have that knob."""
    case = record["case"]
    return {
        "mode": case["mode"],
        "precision": case["precision"],
        "device": case["device"],
        "implementation": case["implementation"],
        "workers": str(case.get("workers", "")),
    }[knob]


def spoken(record: Record, knob: str) -> str:
    """A setting as it stands among others: a bare number of workers would say nothing there."""
    value = setting(record, knob)
    return workers(int(value)) if knob == "workers" and value else value


def workers(number: int) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{number} worker{'s' if number != 1 else ''}"


def _comparison_row(
    record: Record, its_anchor: str, one: SpeedupRecord, by_id: dict[str, Record], varied: set[str]
) -> dict[str, Any]:
    case = record["case"]
    said = (
        case["size_label"].replace(",", ", "),
        *(
            spoken(record, knob)
            for knob in ("implementation", "device", "mode", "precision", "workers")
            if knob in varied and one["knob"] not in (knob, TOGETHER)
        ),
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
        "compiled": _only_this_compiles(record, by_id.get(one["against"])),
        "first_call": record["first_call"]["seconds"],
        **_pay_off(record, by_id.get(one["against"]), one),
    }


def _only_this_compiles(record: Record, other: Record | None) -> bool:
    """Whether it is compiled and what it is held against is not (as far as the file says)."""
    return record["compile"] is not None and (other is None or other["compile"] is None)


def _pay_off(record: Record, other: Record | None, one: SpeedupRecord) -> dict[str, float | None]:
    """After how many calls, and after how long, the longer first call has paid for itself.

    At that moment both have spent the same time, so it is the first call plus the rest at this
    case's own pace. The interval is what the speed-up's interval makes of it.
    """
    nothing = dict.fromkeys(("pays_after", "pays_after_low", "pays_after_high", "pays_seconds"))
    if other is None or one["verdict"] != "faster" or not _only_this_compiles(record, other):
        return nothing
    first = record["first_call"]["seconds"]
    extra = first - other["first_call"]["seconds"]
    seconds = other["timing"]["seconds"]
    calls = calls_to_pay_off(extra, seconds, one["ratio"])
    if calls is None:
        return nothing
    return {
        "pays_after": calls,
        "pays_after_low": calls_to_pay_off(extra, seconds, one["high"]) if one["high"] else None,
        "pays_after_high": calls_to_pay_off(extra, seconds, one["low"]) if one["low"] else None,
        "pays_seconds": first + (calls - 1) * seconds / one["ratio"],
    }
