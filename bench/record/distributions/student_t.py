"""Quantiles of Student's t distribution with any positive number of degrees of freedom. Standard library only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from torchduet.bench.record.distributions.incomplete_beta import incomplete_beta, log_shares

NEARLY_NORMAL = 1e4  # degrees of freedom from which the expansion about the normal quantile is exact to rounding
LOG_RANGE = (-50.0, 709.0)  # of t: the greatest float is exp(709.8)
HALVINGS = 64


@lru_cache(maxsize=4096)
def two_sided_quantile(confidence: float, degrees: float) -> float:
    """The t with P(|T| <= t) = ``confidence``; infinite beyond the greatest float.

    Args:
        confidence: between 0 and 1, exclusive.
        degrees: degrees of freedom, above 0, whole or not; infinity gives the normal distribution's.

    Raises:
        ValueError: an argument is outside its range.
    """
    if not 0 < confidence < 1 or not degrees > 0:
        raise ValueError(f"a quantile of t needs 0 < confidence < 1 and degrees > 0, got {confidence}, {degrees}")
    if degrees >= NEARLY_NORMAL:
        return _nearly_normal(NormalDist().inv_cdf((1 + confidence) / 2), degrees)
    low, high = LOG_RANGE
    tail = 1 - confidence
    if two_sided_tail(math.exp(high), degrees) > tail:
        return math.inf
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_tail(math.exp(middle), degrees) > tail else (low, middle)
    return math.exp((low + high) / 2)


def _nearly_normal(z: float, degrees: float) -> float:
    """Fisher and Cornish's expansion in 1/degrees (Abramowitz and Stegun 1964, 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2


def two_sided_tail(t: float, degrees: float) -> float:
    """P(|T| > t), t > 0: I_x(degrees/2, 1/2) with x = degrees/(degrees + t²) (Abramowitz and Stegun 1964, 26.7.1)."""
    return incomplete_beta(degrees / 2, 0.5, *log_shares(2 * math.log(t) - math.log(degrees)))
