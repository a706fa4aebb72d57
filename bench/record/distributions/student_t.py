"""Quantiles of Student's t distribution with any positive number of degrees of freedom. Standard library only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from torchduet.bench.record.distributions.incomplete_beta import incomplete_beta, log_shares

NEARLY_NORMAL = 1e4  # degrees of freedom from which the expansion about the normal quantile is exact to rounding
LOG_MAX = 300.0  # of t, whose square is a float, too
MAX_STEPS = 100
PRECISION = 1e-13


@lru_cache(maxsize=4096)
def two_sided_quantile(confidence: float, degrees: float) -> float:
    """The t with P(|T| <= t) = ``confidence``; infinite beyond 1e130.

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
    tail = 1 - confidence
    if two_sided_tail(math.exp(LOG_MAX), degrees) > tail:
        return math.inf
    # Newton's method for the logarithms of t and of the tail, of which one is a concave function of the other: from
    # the first step on, it comes down to the root from above.
    log_t = math.log(NormalDist().inv_cdf((1 + confidence) / 2))
    for _ in range(MAX_STEPS):
        t = math.exp(log_t)
        current = two_sided_tail(t, degrees)
        step = math.log(current / tail) * current / (2 * t * density(t, degrees))
        log_t = min(log_t + step, LOG_MAX)
        if abs(step) <= PRECISION:
            break
    return math.exp(log_t)


def _nearly_normal(z: float, degrees: float) -> float:
    """Fisher and Cornish's expansion in 1/degrees (Abramowitz and Stegun 1964, 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2


def two_sided_tail(t: float, degrees: float) -> float:
    """P(|T| > t), t > 0: I_x(degrees/2, 1/2) with x = degrees/(degrees + t²) (Abramowitz and Stegun 1964, 26.7.1)."""
    return incomplete_beta(degrees / 2, 0.5, *log_shares(2 * math.log(t) - math.log(degrees)))


def density(t: float, degrees: float) -> float:
    """The probability density of Student's t (Abramowitz and Stegun 1964, 26.7.2)."""
    constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(constant - (degrees + 1) / 2 * math.log1p(t * t / degrees))
