"""From paired blocks to a verdict: samples → placement differences → speed-up → verdict.

Each step is a pure function of the one before. It needs the standard library only, so that the reports and the
command line can import it without torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median

from torchduet.bench.record.schema.words import Verdict

CONFIDENCE = 0.99
THRESHOLD = 0.02
MIN_PLACEMENTS = 8
MAX_CORRELATED = 0.9
TARGET_HALF_WIDTH = 0.01
LARGE_EFFECT_HALF_WIDTH = 0.02
SHARE_OF_EFFECT = 0.1


@dataclass(frozen=True)
class Interval:
    """A point estimate with its confidence interval, ``low <= point <= high``."""

    point: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval relative to the point (dimensionless)."""
        return (self.high - self.low) / 2 / abs(self.point) if self.point else math.inf


@dataclass(frozen=True)
class Speedup:
    """How many times as fast a case is as its reference: reference time / case time."""

    ratio: float
    low: float
    high: float
    placements: int
    confidence: float = CONFIDENCE

    @property
    def half_width(self) -> float:
        """Half the interval's width on the logarithmic scale: 0.01 reads as ±1 %. Infinite without one."""
        return half_width(self.low, self.high)

    def verdict(self, threshold: float = THRESHOLD) -> Verdict:
        """``faster``/``slower``: the interval lies wholly beyond ±threshold; ``same``: wholly inside.

        Otherwise, and with fewer than 8 placements (no 99 % interval exists then), ``unclear``.
        """
        return "unclear" if self.placements < MIN_PLACEMENTS else self.side(threshold)

    def side(self, threshold: float = THRESHOLD) -> Verdict:
        """The verdict by the interval alone, with any number of placements; ``unclear`` without an interval."""
        if self.low <= 0:
            return "unclear"
        return side_of(math.log(self.low), math.log(self.high), threshold)


def half_width(low: float | None, high: float | None) -> float:
    """Half the width of a ratio's interval on the logarithmic scale; infinite without one."""
    if low is None or high is None or low <= 0 or math.isinf(high):
        return math.inf
    return (math.log(high) - math.log(low)) / 2


def side_of(low: float, high: float, threshold: float) -> Verdict:
    """Where an interval of log ratios lies: wholly beyond ±threshold, wholly inside (``same``), or ``unclear``."""
    bound = math.log1p(threshold)
    if low > bound:
        return "faster"
    if high < -bound:
        return "slower"
    return "same" if low >= -bound and high <= bound else "unclear"


def wanted(effect: float) -> float:
    """The half-width that is narrow enough for an effect (both of log ratios).

    A tenth of the effect, between ±1 % and ±2 %. The difference between 8.0 and 8.1 times as fast decides nothing; the
    time is better spent where the verdict is open.
    """
    return max(TARGET_HALF_WIDTH, min(LARGE_EFFECT_HALF_WIDTH, SHARE_OF_EFFECT * abs(effect)))


@lru_cache(maxsize=512)
def signed_rank_counts(n: int) -> tuple[int, ...]:
    """Number of subsets of {1..n} with each sum: the null distribution of Wilcoxon's W+ times 2**n."""
    counts = [1]
    for rank in range(1, n + 1):
        grown = counts + [0] * rank
        for total, count in enumerate(counts):
            grown[total + rank] += count
        counts = grown
    return tuple(counts)


@lru_cache(maxsize=512)
def walsh_rank(n: int, confidence: float) -> int | None:
    """How many Walsh averages to step in from each end for an interval of at least ``confidence``.

    1 means the extremes themselves; None means that ``n`` values are too few for that confidence.
    Exact, from the null distribution of W+ (Hollander & Wolfe, *Nonparametric Statistical Methods*,
    §3.3): the largest k with 2·P(W+ <= k − 1) <= 1 − confidence.
    """
    return steps_in(signed_rank_counts(n), 2**n, confidence)


def steps_in(counts: Iterable[int], total: int, confidence: float) -> int | None:
    """The largest k with 2·P(statistic <= k − 1) <= 1 − confidence; None if there is none above 0.

    Args:
        counts: how many of ``total`` equally likely arrangements have each value 0, 1, … of the statistic.
    """
    allowed = (1 - confidence) / 2 * total
    below, rank = 0, 0
    for count in counts:
        below += count
        if below > allowed:
            break
        rank += 1
    return rank or None


def hodges_lehmann(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Hodges-Lehmann pseudo-median with the exact signed-rank interval.

    The estimate is the median of the n(n+1)/2 Walsh averages (Hodges & Lehmann 1963). The interval
    is exact when the values are independent and symmetric about their centre; ties make it
    conservative. Too few values for the confidence (below 8 at 99 %) give an infinite interval.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    n = len(values)
    if not n or not all(math.isfinite(v) for v in values):
        raise ValueError(f"hodges_lehmann needs finite values, got {list(values)[:5]}")
    walsh = sorted((values[i] + values[j]) / 2 for i in range(n) for j in range(i, n))
    rank = walsh_rank(n, confidence)
    if rank is None:
        return Interval(median(walsh), -math.inf, math.inf)
    return Interval(median(walsh), walsh[rank - 1], walsh[-rank])


def lag_one_correlation(values: Sequence[float]) -> float:
    """Correlation of neighbouring values in the order taken; 0 for fewer than 3, or without variation."""
    centre = sum(values) / len(values)
    squares = sum((value - centre) ** 2 for value in values)
    if len(values) < 3 or squares == 0:
        return 0.0
    return sum((a - centre) * (b - centre) for a, b in itertools.pairwise(values)) / squares


def drift_factor(values: Sequence[float]) -> float:
    """How much wider the interval of values that drift must be than that of independent ones, at least 1.

    n values with lag-one correlation ρ are worth n(1 − ρ)/(1 + ρ) independent ones (Bartlett 1935;
    von Storch & Zwiers 1999, §6.6.8), so the width grows by the root of the inverse. Negative
    estimates count as 0.
    """
    correlation = min(max(lag_one_correlation(values), 0.0), MAX_CORRELATED)
    return math.sqrt((1 + correlation) / (1 - correlation))


def placement_differences(reference: Sequence[Sequence[float]], case: Sequence[Sequence[float]]) -> list[float]:
    """Per placement, the median over its rounds of log(reference time / case time).

    Args:
        reference, case: seconds per call, one list of rounds per placement, paired round by round.
    """
    return [
        median(math.log(r / c) for r, c in zip(ref_rounds, case_rounds, strict=True))
        for ref_rounds, case_rounds in zip(reference, case, strict=True)
    ]


def value_of(differences: Sequence[float]) -> tuple[float, float | None]:
    """One visit's own estimate from its placements' values, and its standard error.

    Args:
        differences: on the scale of logarithms, in the order taken.

    Returns:
        The Hodges-Lehmann estimate; for the error, the standard deviation of the mean, widened for drift (as if it were
        as uncertain as the mean). None with one placement.
    """
    point = hodges_lehmann(differences).point
    if len(differences) < 2:
        return point, None
    number, centre = len(differences), fmean(differences)
    variance = math.fsum((value - centre) ** 2 for value in differences) / (number - 1)  # as stdev's, 20 times as fast
    return point, math.sqrt(variance / number) * drift_factor(differences)


def speedup(
    reference: Sequence[Sequence[float]],
    case: Sequence[Sequence[float]],
    confidence: float = CONFIDENCE,
) -> Speedup:
    """Speed-up of ``case`` over ``reference`` from blocks taken in alternation (seconds per call).

    Noise that both sides share cancels. Noise that slows one side more, such as memory traffic of other machines on
    the same host, changes the ratio itself during the measurement: neighbouring placements are then alike, and the
    interval is widened by :func:`drift_factor`.
    """
    return speedup_of(placement_differences(reference, case), confidence)


def speedup_of(differences: Sequence[float], confidence: float = CONFIDENCE) -> Speedup:
    """Speed-up from independent log ratios (reference time / case time), in the order taken."""
    estimate = hodges_lehmann(differences, confidence)
    factor = drift_factor(differences)
    return Speedup(
        ratio=math.exp(estimate.point),
        low=math.exp(estimate.point - factor * (estimate.point - estimate.low)),
        high=math.exp(estimate.point + factor * (estimate.high - estimate.point)),
        placements=len(differences),
        confidence=confidence,
    )


def seconds_per_call(blocks: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> Interval:
    """Time of one call: Hodges-Lehmann over the placements' medians, in seconds, on the log scale.

    Its interval covers the variation over placements during this run. It does not cover the machine's drift from one
    run to the next; only the paired speed-up is free of that.
    """
    logs = hodges_lehmann([math.log(median(rounds)) for rounds in blocks], confidence)
    return Interval(math.exp(logs.point), math.exp(logs.low), math.exp(logs.high))


def calls_to_pay_off(extra_first_call: float, reference_seconds: float, ratio: float) -> float | None:
    """The number of calls after which a slower first call has paid off; None if it never does.

    Solves F_ref + (N − 1)·t = F_case + (N − 1)·t/ratio for N, with ``extra_first_call`` = F_case − F_ref.
    """
    saved = reference_seconds * (1 - 1 / ratio) if ratio > 0 else -math.inf
    if extra_first_call <= 0:
        return 1.0 if saved >= 0 else None
    return 1 + extra_first_call / saved if saved > 0 else None
