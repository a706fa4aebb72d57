"""Quantiles of Student's t distribution with any positive number of degrees of freedom. Standard library only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

NEARLY_NORMAL = 1e4  # degrees of freedom from which the expansion about the normal quantile is exact to rounding
LARGEST = 709.0  # logarithm of t
STEPS = 200
PRECISION = 1e-15
SMALL_STEP = 1e-8  # of Newton's method, which squares the error: the next step would be lost in rounding


@lru_cache(maxsize=4096)
def two_sided_quantile(confidence: float, degrees: float) -> float:
    """The t with P(|T| <= t) = ``confidence``; infinite if it is beyond the greatest float.

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
    return math.exp(log_factor - (degrees + 1) / 2 * _softplus(2 * log_t - math.log(degrees)))


def _nearly_normal(z: float, degrees: float) -> float:
    """Fisher and Cornish's expansion in 1/degrees (Abramowitz and Stegun 1964, 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2


def two_sided_tail(t: float, degrees: float) -> float:
    """P(|T| > t) for t >= 0: the regularised incomplete beta function I_x(degrees/2, 1/2), x = degrees/(degrees + t²).

    Abramowitz and Stegun 1964, 26.7.1.
    """
    if t == 0:
        return 1.0
    squared = math.log(t) * 2 - math.log(degrees)  # log(t²/degrees): t² itself may overflow
    log_x = -_softplus(squared)
    log_y = -_softplus(-squared)
    return _incomplete_beta(degrees / 2, 0.5, log_x, log_y)


def _softplus(value: float) -> float:
    """log(1 + exp(value)) without overflow."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def _incomplete_beta(a: float, b: float, log_x: float, log_y: float) -> float:
    """I_x(a, b) by its continued fraction (Press et al., *Numerical Recipes*, §6.4); y = 1 − x."""
    factor = a * log_x + b * log_y + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    x, y = math.exp(log_x), math.exp(log_y)
    if x < (a + 1) / (a + b + 2):
        return math.exp(factor - math.log(a)) * _continued_fraction(a, b, x)
    return 1 - math.exp(factor - math.log(b)) * _continued_fraction(b, a, y)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The fraction of the incomplete beta function, by Lentz's method as Thompson and Barnett (1986) modified it."""
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 10 * STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            change = c * d
            value *= change
        if abs(change - 1) < PRECISION:
            break
    return value
