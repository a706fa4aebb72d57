"""From two independent samples of log times to their shift with an exact interval: Mann-Whitney, Hodges-Lehmann.

Pure functions of numbers; the standard library is all they need. What a shift means is left to ``verdicts``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import median

from bench.engine.estimate import CONFIDENCE, Interval, drift_factor, steps_in


@lru_cache(maxsize=512)
def rank_sum_counts(m: int, n: int) -> tuple[int, ...]:
    """Number of arrangements with each value 0..mn of Mann and Whitney's U: its null distribution times C(m+n, m).

    The coefficients of the Gaussian binomial ∏ (1 − q^(n+i)) / (1 − q^i), i = 1..m (Mann & Whitney 1947;
    Andrews, *The Theory of Partitions*, §3.2), multiplied and divided factor by factor.
    """
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return tuple(counts)


@lru_cache(maxsize=512)
def difference_rank(m: int, n: int, confidence: float) -> int | None:
    """How many of the mn sorted differences to step in from each end for an interval of at least ``confidence``.

    1 means the extremes themselves; None means that so few values cannot carry that confidence (at 99 %:
    fewer than 5 and 5). Exact, from the null distribution of U (Hollander & Wolfe, *Nonparametric
    Statistical Methods*, §4.3): the largest k with 2·P(U <= k − 1) <= 1 − confidence.
    """
    return steps_in(rank_sum_counts(m, n), math.comb(m + n, m), confidence)


def shift(first: Sequence[float], second: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """By how much ``first`` lies above ``second``: the Hodges-Lehmann estimate with the exact rank-sum interval.

    The estimate is the median of all differences between a value of the one and a value of the other
    (Hodges & Lehmann 1963). The interval is exact when each sample's values are independent and the two
    distributions differ by a shift only; ties make it conservative. It is widened by the ``drift_factor``
    of the sample that drifts more. Too few values for the confidence give an infinite interval.

    Raises:
        ValueError: no values on a side, or one that is not finite.
    """
    if not first or not second or not all(map(math.isfinite, (*first, *second))):
        raise ValueError(f"shift needs finite values on both sides, got {list(first)[:5]} and {list(second)[:5]}")
    differences = sorted(a - b for a in first for b in second)
    point = median(differences)
    rank = difference_rank(len(first), len(second), confidence)
    if rank is None:
        return Interval(point, -math.inf, math.inf)
    factor = max(drift_factor(first), drift_factor(second))
    low, high = differences[rank - 1], differences[-rank]
    return Interval(point, point - factor * (point - low), point + factor * (high - point))
