"""Compares any two records of a family by the blocks in which they were timed in alternation.

The file has each case's comparison with the reference, and with each single knob turned back. This module makes all
other comparisons: one step of a path with the step before, one number of workers with another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import THRESHOLD, speedup


@dataclass(frozen=True)
class PairRatio:
    """How many times as fast a case is as its baseline, or another ratio of the two.

    Attributes:
        low, high: the 99 % interval; None if there are too few placements.
        verdict: faster, slower, same or unclear, from the interval and the threshold.
        withheld: the verdict is unclear whatever the interval, as the machine had too few free cores for the threads.
    """

    ratio: float
    low: float | None
    high: float | None
    verdict: str
    placements: int
    withheld: bool = False

    @property
    def extra_time(self) -> float:
        """How much longer the case takes, as a share of the baseline's time: 0.12 is 12 % more."""
        return 1 / self.ratio - 1


def pair_ratio(baseline: Record, case: Record) -> PairRatio | None:
    """Baseline's time / case's time; None if the two were not timed in the same rounds."""
    return _judged(ratio_of_blocks(baseline["timing"]["blocks"], case["timing"]["blocks"]), baseline, case)


def verdict_withheld(record: Record) -> bool:
    """Whether the run withheld its verdicts on a case, however narrow the intervals."""
    return any(note.startswith(NO_VERDICT) for note in record["notes"])


def _judged(pair: PairRatio | None, *records: Record) -> PairRatio | None:
    """The ratio of two records, its verdict withheld if the run withheld the verdicts of either."""
    if pair is None or not any(map(verdict_withheld, records)):
        return pair
    return replace(pair, verdict="unclear", withheld=True)


def ratio_of_blocks(baseline: Sequence[Sequence[float]], case: Sequence[Sequence[float]]) -> PairRatio | None:
    """Baseline / case from paired positive values, a list of rounds per placement; None if they do not pair."""
    if not baseline or [len(rounds) for rounds in baseline] != [len(rounds) for rounds in case]:
        return None
    if not all(value > 0 for blocks in (baseline, case) for rounds in blocks for value in rounds):
        return None
    estimate = speedup(baseline, case)
    known = estimate.low > 0 and math.isfinite(estimate.high)
    return PairRatio(
        ratio=estimate.ratio,
        low=estimate.low if known else None,
        high=estimate.high if known else None,
        verdict=estimate.verdict(THRESHOLD),
        placements=estimate.placements,
    )


def ratio_of_meters(baseline: Record, case: Record, name: str) -> PairRatio | None:
    """Baseline / case of a meter's values, paired by placement; None if either lacks it."""
    first, second = (record.get("meters", {}).get(name) for record in (baseline, case))
    if first is None or second is None:
        return None
    pair = ratio_of_blocks([[value] for value in first["values"]], [[value] for value in second["values"]])
    return _judged(pair, baseline, case)


def ratio_of_peaks(baseline: Record, case: Record) -> PairRatio | None:
    """Baseline / case of the peak of memory; without an interval, as a peak is the same in every measurement."""
    peak, baseline_peak = case.get("peak_bytes"), baseline.get("peak_bytes")
    if not peak or not baseline_peak:
        return None
    ratio = baseline_peak / peak
    verdict = "faster" if ratio > 1 + THRESHOLD else "slower" if ratio < 1 / (1 + THRESHOLD) else "same"
    return PairRatio(ratio, None, None, verdict, 1)
