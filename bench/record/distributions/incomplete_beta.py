"""The regularised incomplete beta function, from logarithms of its argument. Standard library only."""

from __future__ import annotations

import math

PRECISION = 1e-15
MAX_TERMS = 5000
TINY = 1e-300


def incomplete_beta(a: float, b: float, log_x: float, log_y: float) -> float:
    """I_x(a, b) for a, b > 0 by its continued fraction (Press et al. 2007, *Numerical Recipes*, §6.4).

    Args:
        log_x, log_y: log(x) and log(1 − x), given both, as either may be too small for a float.
    """
    factor = a * log_x + b * log_y + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    x, y = math.exp(log_x), math.exp(log_y)
    if x < (a + 1) / (a + b + 2):
        return math.exp(factor - math.log(a)) * _continued_fraction(a, b, x)
    return 1 - math.exp(factor - math.log(b)) * _continued_fraction(b, a, y)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The fraction of the incomplete beta function, by Lentz's method as Thompson and Barnett (1986) modified it."""
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or TINY)
    value = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / ((1 + term * d) or TINY)
            c = (1 + term / c) or TINY
            change = c * d
            value *= change
        if abs(change - 1) < PRECISION:
            break
    return value


def log_shares(log_odds: float) -> tuple[float, float]:
    """log(1/(1 + exp(o))) and log(exp(o)/(1 + exp(o))), without overflow."""
    return -_softplus(log_odds), -_softplus(-log_odds)


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
