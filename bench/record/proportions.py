"""Rates with exact bounds, and the least effect that an interval's width can show. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from torchduet.bench.record.statistics import CONFIDENCE

BOUNDS_CONFIDENCE = 0.95
POWER = 0.95
HALVINGS = 60


def _log_chance(k: int, n: int, p: float) -> float:
    choices = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choices + k * math.log(p) + (n - k) * math.log1p(-p)


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for X binomial with ``n`` trials of chance ``p``, 0 < p < 1."""
    return min(1.0, math.fsum(math.exp(_log_chance(i, n, p)) for i in range(k + 1)))


def clopper_pearson(k: int, n: int, confidence: float = BOUNDS_CONFIDENCE) -> tuple[float, float]:
    """Exact bounds for the chance of an event that occurred in ``k`` of ``n`` trials (Clopper & Pearson 1934).

    Raises:
        ValueError: not 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} trials")
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else _solve(lambda p: 1 - at_most(k - 1, n, p) < tail)
    high = 1.0 if k == n else _solve(lambda p: at_most(k, n, p) > tail)
    return low, high


def _solve(below: Callable[[float], bool]) -> float:
    """The chance up to which a condition holds that holds for small chances, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def minimum_effect(half_width: float, threshold: float, power: float = POWER, confidence: float = CONFIDENCE) -> float:
    """The least slow-down whose verdict is slower with chance ``power``, as a share: 0.03 is 3 %.

    The verdict needs the whole interval beyond the threshold. So the effect must exceed the threshold by half an
    interval, and by the amount by which the estimate falls short of the effect in all but 1 − ``power`` of the cases.
    The standard error is derived from the width as for a normal distribution.

    Args:
        half_width, threshold: of log ratios, and as a share.
    """
    if math.isinf(half_width):
        return math.inf
    normal = NormalDist()
    shortfall = normal.inv_cdf(power) / normal.inv_cdf((1 + confidence) / 2)
    return math.expm1(math.log1p(threshold) + half_width * (1 + shortfall))
