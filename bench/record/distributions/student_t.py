"""Quantiles of Student's t distribution with any positive number of degrees of freedom. Standard library only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from torchduet.bench.record.distributions.incomplete_beta import incomplete_beta, log_shares

NEARLY_NORMAL = 1e4  # degrees of freedom from which the expansion about the normal quantile is exact to rounding
LARGEST = 709.0  # logarithm of t: the greatest float is exp(709.8)
STEPS = 200
SMALL_STEP = 1e-8  # of Newton's method, which squares the error: the next step would be lost in rounding


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
    tail = 1 - confidence
    if two_sided_tail(math.exp(LARGEST), degrees) > tail:
        return math.inf
    # Newton's steps for log(tail) as a function of log(t). It is concave: after one step at most the iterates lie above
    # the solution and fall to it. The normal quantile lies below.
    log_t = math.log(NormalDist().inv_cdf((1 + confidence) / 2))
    for _ in range(STEPS):
        t = math.exp(log_t)
        excess = two_sided_tail(t, degrees) - tail
        step = math.log1p(excess / tail) * (tail + excess) / (2 * t * _density(log_t, degrees))
        log_t = min(log_t + step, LARGEST)
        if abs(step) <= SMALL_STEP * max(1.0, abs(log_t)):
            break
    return math.exp(log_t)


def _density(log_t: float, degrees: float) -> float:
    """The density of Student's t."""
    log_factor = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    squared = 2 * log_t - math.log(degrees)  # log(t²/degrees): t² itself may overflow
    softplus = max(squared, 0.0) + math.log1p(math.exp(-abs(squared)))
    return math.exp(log_factor - (degrees + 1) / 2 * softplus)


def _nearly_normal(z: float, degrees: float) -> float:
    """Fisher and Cornish's expansion in 1/degrees (Abramowitz and Stegun 1964, 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2


def two_sided_tail(t: float, degrees: float) -> float:
    """P(|T| > t), t > 0: I_x(degrees/2, 1/2) with x = degrees/(degrees + t²) (Abramowitz and Stegun 1964, 26.7.1)."""
    return incomplete_beta(degrees / 2, 0.5, *log_shares(2 * math.log(t) - math.log(degrees)))
