"""Estimates the shift between two independent samples of log times with an exact interval.

The methods are those of Mann and Whitney, and Hodges and Lehmann: pure functions of numbers, for one pair of samples
(``shift``) and for many at once (``shifts``). Verdicts are left to ``verdicts``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import median

import numpy as np

from torchduet.bench.record.statistics import CONFIDENCE, MAX_CORRELATED, Interval, drift_factor, steps_in
from torchduet.reports.shifts.leave_out import Array

AT_ONCE = 2_000_000  # differences that are sorted together: 16 MB


@lru_cache(maxsize=64)
def rank_sum_counts(m: int, n: int) -> tuple[int, ...]:
    """Number of arrangements with each value 0..mn of Mann and Whitney's U: its null distribution times C(m+n, m).

    The coefficients of the Gaussian binomial ∏ (1 − q^(n+i)) / (1 − q^i), i = 1..m (Mann & Whitney 1947;
    Andrews, *The Theory of Partitions*, §3.2), multiplied and divided factor by factor.
    """
    m, n = min(m, n), max(m, n)
    half = m * n // 2  # the coefficients are symmetric
    counts = [1] + [0] * half
    for i in range(1, m + 1):
        for u in range(half, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, half + 1):
            counts[u] += counts[u - i]
    return (*counts, *counts[m * n - half - 1 :: -1])


@lru_cache(maxsize=8192)
def difference_rank(m: int, n: int, confidence: float) -> int | None:
    """The rank, from each end of the mn sorted differences, of the limits of an interval of at least ``confidence``.

    1 means the extremes themselves; None means that there are too few values for that confidence (at 99 %:
    fewer than 5 and 5). Exact, from the null distribution of U (Hollander & Wolfe, *Nonparametric
    Statistical Methods*, §4.3): the largest k with 2·P(U <= k − 1) <= 1 − confidence.
    """
    return steps_in(rank_sum_counts(m, n), math.comb(m + n, m), confidence)


def shift(first: Sequence[float], second: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """By how much ``first`` lies above ``second``: the Hodges-Lehmann estimate with the exact rank-sum interval.

    The estimate is the median of all differences between a value of the first and a value of the second sample
    (Hodges & Lehmann 1963). The interval is exact when each sample's values are independent and the two
    distributions differ by a shift only; ties make it conservative. It is widened by the larger ``drift_factor``
    of the two samples. Too few values for the confidence give an infinite interval.

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


def shifts(first: Array, second: Array, confidence: float = CONFIDENCE) -> list[Interval]:
    """``shift`` of every row of ``first`` (k × m) against the same row of ``second`` (k × n).

    Raises:
        ValueError: no values on a side, or one that is not finite.
    """
    (rows, m), (_, n) = first.shape, second.shape
    if not m or not n or not np.isfinite(first).all() or not np.isfinite(second).all():
        raise ValueError(f"shifts need finite values on both sides, got {m} and {n} in a row")
    rank = difference_rank(m, n, confidence)
    middle, odd = divmod(m * n, 2)
    factors = np.maximum(drift_factors(first), drift_factors(second))
    intervals: list[Interval] = []
    step = max(1, AT_ONCE // (m * n))
    for start in range(0, rows, step):
        part = slice(start, start + step)
        differences = (first[part, :, None] - second[part, None, :]).reshape(-1, m * n)
        differences.sort(axis=1)
        points = differences[:, middle] if odd else (differences[:, middle - 1] + differences[:, middle]) / 2
        if rank is None:
            intervals += [Interval(point, -math.inf, math.inf) for point in points.tolist()]
            continue
        low = points - factors[part] * (points - differences[:, rank - 1])
        high = points + factors[part] * (differences[:, -rank] - points)
        intervals += map(Interval, points.tolist(), low.tolist(), high.tolist())
    return intervals


def drift_factors(values: Array) -> Array:
    """``torchduet.bench.record.statistics.drift_factor`` of every row."""
    deviations = values - values.mean(axis=1, keepdims=True)
    squares = (deviations**2).sum(axis=1)
    products = (deviations[:, 1:] * deviations[:, :-1]).sum(axis=1)
    known = (squares > 0) & (values.shape[1] >= 3)
    correlation = np.divide(products, squares, out=np.zeros_like(squares), where=known).clip(0.0, MAX_CORRELATED)
    factors: Array = np.sqrt((1 + correlation) / (1 - correlation))
    return factors
