"""Judges cases that were timed in alternation: their ratios visit by visit, and verdicts by another threshold."""

from __future__ import annotations

import math

from torchduet.bench.record.moderation import Visits
from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import THRESHOLD, placement_differences, side_of, value_of
from torchduet.bench.record.visits.intervals import parts_of


def judge_by(record: Record, threshold: float) -> None:
    """Judge a record's speed-ups by a threshold; verdicts that were withheld stay so."""
    for speedup in record["speedups"]:
        if threshold != THRESHOLD and speedup["low"] is not None and speedup["high"] is not None:
            withheld = speedup["verdict"] == "unclear" and (
                side_of(math.log(speedup["low"]), math.log(speedup["high"]), speedup["threshold"]) != "unclear"
            )
            if not withheld:
                speedup["verdict"] = side_of(math.log(speedup["low"]), math.log(speedup["high"]), threshold)
        speedup["threshold"] = threshold


def visits_of(reference: Record, record: Record) -> Visits:
    """Each visit's ratio of two cases that were timed in alternation: reference time / time, as logarithms."""
    of_reference, blocks = dict(parts_of(reference)), (reference["timing"]["blocks"], record["timing"]["blocks"])
    values = [
        value_of(placement_differences(blocks[0][of_reference[at]], blocks[1][part]))
        for at, part in parts_of(record)
        if at in of_reference
    ]
    return Visits(tuple(point for point, _ in values), tuple(error for _, error in values))
