"""The digamma and trigamma functions, and the inverse of trigamma, for positive arguments. Standard library only."""

from __future__ import annotations

import math

ASYMPTOTIC = 10.0  # from here on the asymptotic series below are exact to rounding


def digamma(x: float) -> float:
    """The derivative of log Γ(x), x > 0 (Abramowitz and Stegun 1964, 6.3.5 and 6.3.18)."""
    shift = 0.0
    while x < ASYMPTOTIC:
        shift -= 1 / x
        x += 1
    y = 1 / (x * x)
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * (691 / 32760 - y / 12))))))
    return shift + math.log(x) - 1 / (2 * x) - series


def trigamma(x: float) -> float:
    """The second derivative of log Γ(x), x > 0 (Abramowitz and Stegun 1964, 6.4.6 and 6.4.12)."""
    shift = 0.0
    while x < ASYMPTOTIC:
        shift += 1 / (x * x)
        x += 1
    y = 1 / (x * x)
    series = 1 / 6 - y * (1 / 30 - y * (1 / 42 - y * (1 / 30 - y * (5 / 66 - y * (691 / 2730 - y * 7 / 6)))))
    return shift + 1 / x + y / 2 + y / x * series


def tetragamma(x: float) -> float:
    """The third derivative of log Γ(x), x > 0 (Abramowitz and Stegun 1964, 6.4.6 and 6.4.13)."""
    shift = 0.0
    while x < ASYMPTOTIC:
        shift -= 2 / (x * x * x)
        x += 1
    y = 1 / (x * x)
    series = y * (1 / 2 - y * (1 / 6 - y * (1 / 6 - y * (3 / 10 - y * (5 / 6 - y * (691 / 210 - y * 35 / 2))))))
    return shift - y - y / x - y * series


def trigamma_inverse(value: float) -> float:
    """The x > 0 with trigamma(x) = ``value``, 0 < value: Newton's method on 1/trigamma (Smyth 2004, appendix).

    1/trigamma is convex and nearly linear, so that the iteration rises monotonically to the root.
    """
    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        current = trigamma(x)
        step = current * (1 - current / value) / tetragamma(x)
        x += step
        if -step <= 1e-14 * x:
            break
    return x
