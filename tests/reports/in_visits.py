"""Divides the placements of a made-up run into visits, and judges them as a run does."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import placement_differences, value_of
from torchduet.bench.record.visits.intervals import judged

BETWEEN = 0.004  # standard deviation between visits (log), of each case
APART = 2.5  # seconds between two visits


def in_visits(document: Any, visits: int = 4, between: float = BETWEEN, seed: int = 1) -> Any:
    """The document with its placements in so many visits, whose times differ; changed in place.

    The intervals and verdicts are those that ``bench`` would write. All families are visited once before any gets
    another visit.

    Args:
        visits: at most so many as a case has placements.
    """
    rng = random.Random(seed)
    records = {one["extra_info"][KEY]["case"]["id"]: one["extra_info"][KEY] for one in document["benchmarks"]}
    families = {family: at for at, family in enumerate(dict.fromkeys(one["group"] for one in document["benchmarks"]))}
    for record in records.values():
        timing, total = record["timing"], len(record["timing"]["blocks"])
        number = min(visits, total)
        sizes = [total // number + (visit < total % number) for visit in range(number)]
        first = APART * families[record["case"]["family"]]
        timing["visits"] = [
            {"at": first + APART * len(families) * visit, "placements": size} for visit, size in enumerate(sizes)
        ]
        moved = [factor for size in sizes for factor in [math.exp(rng.gauss(0, between))] * size]
        timing["blocks"] = [
            [seconds * factor for seconds in rounds] for rounds, factor in zip(timing["blocks"], moved, strict=True)
        ]
    for record in records.values():
        for speedup in record["speedups"]:
            _compare(speedup, records[speedup["against"]]["timing"], record["timing"])
    stops = {name: record["timing"]["stop"] for name, record in records.items()}
    found = judged(records, {}, "budget")
    for one in document["benchmarks"]:
        record = found.records[one["extra_info"][KEY]["case"]["id"]]
        record["timing"]["stop"] = stops[record["case"]["id"]]
        one["extra_info"][KEY] = json.loads(json.dumps(record))
    if found.visits is not None:
        document[KEY]["visits"] = json.loads(json.dumps(found.visits))
    return document


def _compare(speedup: Any, reference: Any, timing: Any) -> None:
    """What a run writes of a speed-up in each visit."""
    differences, start, values = placement_differences(reference["blocks"], timing["blocks"]), 0, []
    for visit in timing["visits"]:
        values.append(value_of(differences[start : start + visit["placements"]]))
        start += visit["placements"]
    speedup["visit_ratios"] = [math.exp(value) for value, _ in values]
    speedup["visit_errors"] = [error for _, error in values]


def without_visits(document: Any) -> Any:
    """The document as an earlier version wrote it; changed in place. Its intervals stay as they are."""
    document[KEY].pop("visits", None)
    for one in document["benchmarks"]:
        record = one["extra_info"][KEY]
        record["timing"].pop("visits", None)
        for speedup in record["speedups"]:
            for key in ("visit_ratios", "visit_errors", "interval"):
                speedup.pop(key, None)
    return document
