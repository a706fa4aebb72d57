"""Compares any two records of a family by the blocks in which they were timed in alternation.

The file has each case's comparison with the reference, and with each single knob turned back. This module makes all
other comparisons: one step of a path with the step before, one number of workers with another. It does so as the run
itself: visit by visit where there are visits, else placement by placement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.moderation import Prior, Visits, estimate
from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import THRESHOLD, placement_differences, side_of, speedup, value_of
from torchduet.bench.record.visits.intervals import MAX_LOG
from torchduet.reports.tables.visits import by_visit, visited

Blocks = Sequence[Sequence[float]]  # per placement, a value per round
TIMES = ("s", "1/s")  # the units of meters that, like times, differ from process to process


@dataclass(frozen=True)
class PairRatio:
    """How many times as fast a case is as its baseline, or another ratio of the two.

    Attributes:
        low, high: the 99 % interval; None if there are too few values for one.
        verdict: faster, slower, same or unclear, from the interval and the threshold.
        placements: that it rests on.
        withheld: the verdict is unclear whatever the interval, as the machine had too few free cores for the threads.
        visits: that it rests on; 0 where placements are the independent values.
    """

    ratio: float
    low: float | None
    high: float | None
    verdict: str
    placements: int
    withheld: bool = False
    visits: int = 0

    @property
    def extra_time(self) -> float:
        """How much longer the case takes, as a share of the baseline's time: 0.12 is 12 % more."""
        return 1 / self.ratio - 1


def pair_ratio(baseline: Record, case: Record, prior: Prior | None) -> PairRatio | None:
    """Baseline's time / case's time; None if the two were not timed in the same rounds.

    Args:
        prior: of the run's speed-ups (``visits.prior_of``); it has no effect on records without visits.
    """
    return _ratio(baseline, baseline["timing"]["blocks"], case, case["timing"]["blocks"], prior)


def verdict_withheld(record: Record) -> bool:
    """Whether the run withheld its verdicts on a case, however narrow the intervals."""
    return any(note.startswith(NO_VERDICT) for note in record["notes"])


def _judged(pair: PairRatio | None, *records: Record) -> PairRatio | None:
    """The ratio of two records, its verdict withheld if the run withheld the verdicts of either."""
    if pair is None or not any(map(verdict_withheld, records)):
        return pair
    return replace(pair, verdict="unclear", withheld=True)


def _ratio(baseline: Record, first: Blocks, case: Record, second: Blocks, prior: Prior | None) -> PairRatio | None:
    """Baseline / case of values that both have for each of their placements."""
    if visited(baseline) and visited(case):
        pair = ratio_of_visits(by_visit(baseline, first), by_visit(case, second), prior)
    else:
        pair = ratio_of_blocks(first, second)
    return _judged(pair, baseline, case)


def ratio_of_visits(
    baseline: Mapping[float, Blocks], case: Mapping[float, Blocks], prior: Prior | None
) -> PairRatio | None:
    """Baseline / case from paired positive values of visits; None if no visit pairs.

    A visit that only one of them has, as the other failed in it, is left out; so is one with other numbers of
    placements or rounds.

    Args:
        baseline, case: when a visit began → its placements.
    """
    values, placements = [], 0
    for at in baseline.keys() & case.keys():
        if _pair_up(baseline[at], case[at]):
            values.append((at, value_of(placement_differences(baseline[at], case[at]))))
            placements += len(case[at])
    if not values:
        return None
    points, errors = zip(*(value for _, value in sorted(values)), strict=True)
    found = estimate(Visits(points, errors), prior)
    known = found.half_width < MAX_LOG
    return PairRatio(
        ratio=math.exp(found.point),
        low=math.exp(found.low) if known else None,
        high=math.exp(found.high) if known else None,
        verdict=side_of(found.low, found.high, THRESHOLD) if known else "unclear",
        placements=placements,
        visits=found.visits,
    )


def ratio_of_blocks(baseline: Blocks, case: Blocks) -> PairRatio | None:
    """Baseline / case from paired positive values, placements as the independent values; None if they do not pair."""
    if not baseline or not _pair_up(baseline, case):
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


def _pair_up(baseline: Blocks, case: Blocks) -> bool:
    """Whether two lists of placements have the same numbers of rounds, and positive values alone."""
    return [len(rounds) for rounds in baseline] == [len(rounds) for rounds in case] and all(
        value > 0 for blocks in (baseline, case) for rounds in blocks for value in rounds
    )


def ratio_of_meters(baseline: Record, case: Record, name: str, prior: Prior | None) -> PairRatio | None:
    """Baseline / case of a meter's values, paired by placement; None if either lacks it.

    Phases and rates differ between visits, as times do. What is no time, such as a number of epochs, depends on
    neither the process nor the minute: its placements are independent, whatever their visit.
    """
    first, second = (record.get("meters", {}).get(name) for record in (baseline, case))
    if first is None or second is None:
        return None
    values, others = ([[value] for value in meter["values"]] for meter in (first, second))
    if first["unit"] not in TIMES or not (visited(baseline) and visited(case)):
        return _judged(ratio_of_blocks(values, others), baseline, case)
    if "not_finite" in first or "not_finite" in second:
        return None  # it is not known in which visit a value is missing
    return _ratio(baseline, values, case, others, prior)


def ratio_of_peaks(baseline: Record, case: Record) -> PairRatio | None:
    """Baseline / case of the peak of memory, with ranks of that which holds most.

    The peak of one process has no interval, as it is the same in every measurement. Those of ranks with equal work
    may differ by more than a tenth, so that one of them settles nothing. Their interval reaches from the least of the
    baseline's / the most of the case's to the most of the baseline's / the least of the case's.
    """
    first, second = _peaks(baseline), _peaks(case)
    if not first or not second:
        return None
    ratio, low, high = max(first) / max(second), min(first) / max(second), max(first) / min(second)
    verdict = side_of(math.log(low), math.log(high), THRESHOLD)
    if "ranks" in baseline or "ranks" in case:
        return PairRatio(ratio, low, high, verdict, 1)
    return PairRatio(ratio, None, None, verdict, 1)


def ratio_of_first_calls(baseline: Record, case: Record) -> PairRatio | None:
    """Baseline / case of the seconds until the first result; None if either has none. Measured once: no interval."""
    first, second = (record["first_call"]["seconds"] for record in (baseline, case))
    if not (first > 0 and second > 0):  # NaN in files without first calls
        return None
    difference = math.log(first / second)
    return PairRatio(first / second, None, None, side_of(difference, difference, THRESHOLD), 1)


def _peaks(record: Record) -> list[int]:
    """The peak of each process of a case; none where one is unknown or 0."""
    ranks = record.get("ranks")
    peaks = ranks.get("peak_bytes", []) if ranks is not None else [record.get("peak_bytes", 0)]
    return peaks if all(peaks) else []
