"""From a case's records in two runs to the samples that are compared, and the question they make."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median, stdev

from bench.engine.estimate import placement_differences
from bench.engine.schema import Record
from reports.compare.spread import Residual
from reports.compare.two_sample import shift
from reports.compare.verdicts import Question


def question(unit: str, above: Sequence[float], below: Sequence[float], threshold: float) -> Question:
    """By how much ``above`` lies above ``below``, one value per placement; what the machine did is still open."""
    return Question(
        unit=unit,
        shift=shift(above, below),
        placements=min(len(above), len(below)),
        noise=math.hypot(*map(_noise, (above, below))),
        halves=tuple(_halves(unit, side) for side in (above, below)),
        movement=None,
        threshold=threshold,
    )


def log_times(record: Record) -> list[float]:
    """Per placement, the log of its median block."""
    return [math.log(median(rounds)) for rounds in record["timing"]["blocks"]]


def log_speedups(case: str, records: Mapping[str, Record]) -> list[float]:
    """Per placement, the log speed-up over the reference; empty without a reference timed in alternation."""
    held = [one["against"] for one in records[case]["speedups"] if one["knob"] == "reference"]
    if not held or held[0] not in records:
        return []
    reference, own = (records[one]["timing"]["blocks"] for one in (held[0], case))
    if [len(rounds) for rounds in reference] != [len(rounds) for rounds in own]:
        return []
    return placement_differences(reference, own)


def _noise(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _halves(unit: str, values: Sequence[float]) -> Residual:
    """The second half of a run held against its first, as if they were two runs."""
    middle = len(values) // 2
    apart = median(values[middle:]) - median(values[:middle]) if middle else 0.0
    return Residual(unit, apart, math.sqrt(2) * _noise(values))
