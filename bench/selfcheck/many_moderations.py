"""The statistics of :mod:`moderation` for thousands of simulated runs at once, in NumPy.

A test holds each step equal to the functions that a run uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.bench.record.distributions.trimmed_mean import TRIMMED, trimmed_mean
from torchduet.bench.record.distributions.variance_prior import (
    BETWEEN_STEP,
    DEGREES,
    FINE_STEP,
    MIN_SHARE,
    OUTLYING,
    OUTLYING_RANGE,
    grid,
)
from torchduet.bench.record.distributions.variance_ratio import upper_tail
from torchduet.bench.record.moderation import UNLIKELY
from torchduet.bench.record.statistics import CONFIDENCE

Floats = NDArray[np.float64]
TABLE = np.linspace(math.log(0.2), math.log(1e5), 3000)  # log degrees of freedom, between which quantiles are read


@dataclass(frozen=True)
class Centres:
    """Trimmed means with their variances, as :class:`TrimmedMean`; arrays of runs × comparisons."""

    centre: Floats
    variance: Floats
    within: Floats
    degrees: float
    inflation: float
    count: int


def centres(values: Floats, errors: Floats, at_least: int = TRIMMED) -> Centres:
    """The centres of visits; arrays of runs × comparisons × visits."""
    count = values.shape[-1]
    alike = trimmed_mean([float(number) for number in range(count)], at_least)  # what depends on the count alone
    trimmed = count // TRIMMED if count >= at_least else 0
    ordered = np.sort(values, axis=-1)
    kept = ordered[..., trimmed : count - trimmed]
    variance = np.zeros(values.shape[:-1])
    if count > 1:
        squares = np.clip(values, kept[..., :1], kept[..., -1:]).var(axis=-1) * count
        number = kept.shape[-1]
        variance = squares * count / (number * (number - 1)) / alike.inflation
    within = np.median(errors**2, axis=-1)
    return Centres(kept.mean(axis=-1), variance, within, alike.degrees, alike.inflation, count)


def priors(of: Centres, weight: float = 1.0) -> tuple[Floats, Floats]:
    """s0² and d0 of each run, as :func:`variance_prior`; ``weight`` is that of each comparison."""
    middle = np.median(of.variance, axis=1)
    variance = np.maximum(of.variance, MIN_SHARE * middle[:, None])
    coarse = np.array(grid(BETWEEN_STEP))
    joint = np.empty((len(middle), len(DEGREES), len(coarse)))
    for column, share in enumerate(coarse):
        ratios = variance / (share * middle[:, None] + of.within)
        for row, degrees in enumerate(DEGREES):
            joint[:, row, column] = weight * _log_likelihood(ratios, of.degrees, degrees)
    by_degrees = _weights(joint).sum(axis=2)
    degrees = (by_degrees @ np.array(DEGREES) ** -2.0) ** -0.5
    fine = np.array(grid(FINE_STEP))
    given = np.empty((len(middle), len(fine)))
    for column, share in enumerate(fine):
        ratios = variance / (share * middle[:, None] + of.within)
        given[:, column] = weight * _log_likelihood(ratios, of.degrees, degrees[:, None])
    return middle * (_weights(given) @ fine), degrees


def _log_likelihood(ratios: Floats, degrees: float, prior: float | Floats) -> Floats:
    own, half = degrees / 2, np.asarray(prior) / 2
    constant = np.vectorize(lambda value: math.lgamma(own + value) - math.lgamma(own) - math.lgamma(value))(half)
    odds = own / half * ratios
    density = np.exp(own * np.log(odds) - (own + half) * np.log1p(odds) + constant)
    logs: Floats = np.log((1 - OUTLYING) * density + OUTLYING / OUTLYING_RANGE).sum(axis=1)
    return logs


def _weights(logs: Floats) -> Floats:
    axes = tuple(range(1, logs.ndim))
    values: Floats = np.exp(logs - logs.max(axis=axes, keepdims=True))
    shares: Floats = values / values.sum(axis=axes, keepdims=True)
    return shares


def half_widths(of: Centres, between: Floats, prior: Floats, confidence: float = CONFIDENCE) -> Floats:
    """Half the widths of the intervals by moderated t; ``between`` and ``prior`` are s0² and d0, one of each run."""
    expected = between[:, None] + of.within
    degrees = np.broadcast_to(prior[:, None], expected.shape).copy()
    if of.degrees:
        ratios = of.variance / expected
        for place in zip(*np.nonzero(ratios > 0.9 * _least_unlikely(of.degrees)), strict=True):
            degrees[place] *= min(1.0, upper_tail(float(ratios[place]), of.degrees, float(degrees[place])) / UNLIKELY)
    total = degrees + of.degrees
    variance = (degrees * expected + of.degrees * of.variance) / total
    return _widths(of, quantiles(total, confidence), variance, confidence)


def half_widths_alone(of: Centres, confidence: float = CONFIDENCE) -> Floats:
    """Half the widths of the intervals by the plain t of the visits."""
    return _widths(of, np.array(two_sided_quantile(confidence, of.degrees)), of.variance, confidence)


def _widths(of: Centres, quantile: Floats, variance: Floats, confidence: float) -> Floats:
    """By the visits, and not narrower than by the placements within them."""
    least = two_sided_quantile(confidence, math.inf) * np.sqrt(of.within)
    widths: Floats = np.maximum(quantile * np.sqrt(variance), least) * math.sqrt(of.inflation / of.count)
    return widths


def _least_unlikely(degrees: float) -> float:
    """χ²/degrees at ``UNLIKELY``, below that of F at any prior degrees (Wilson and Hilferty 1931, within 10 %)."""
    spread = 2 / (9 * degrees)
    return float((1 - spread + 1.6449 * math.sqrt(spread)) ** 3)


def quantiles(degrees: Floats, confidence: float = CONFIDENCE) -> Floats:
    """Two-sided quantiles of t, interpolated in a table of the exact ones; within 1e-4 of them."""
    found: Floats = np.exp(np.interp(np.log(degrees), TABLE, _table(confidence)))
    return found


@cache
def _table(confidence: float) -> Floats:
    return np.array([math.log(two_sided_quantile(confidence, math.exp(degrees))) for degrees in TABLE])
