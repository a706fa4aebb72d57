"""How the variances of families are distributed: estimated from the sample variance of each.

A family's variance is taken to be (s0² + w)·d0/χ²(d0). Its sample variance, over s0² + w, is then distributed as F with
d and d0 degrees of freedom (Smyth 2004, §3). s0² and d0 are common to the families; d and w are known of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

OUTLYING = 0.05  # share of families that are taken to follow no prior …
OUTLYING_RANGE = 20.0  # … but whose log variance is anywhere within so much
BETWEEN_STEP, FINE_STEP = 0.25, 0.125  # of log(s0²)
BETWEEN_RANGE = (-5.0, 4.0)  # of log(s0² / the median sample variance)
DEGREES = tuple(2.0**power for power in range(-2, 8))  # what d0 may be: 1/4 to 128
MIN_SHARE = 1e-4  # of the median sample variance: a smaller one, as of values that are equal, counts as this


@dataclass(frozen=True)
class SampleVariance:
    """The sample variance of one comparison's visits."""

    variance: float
    degrees: float
    within: float  # the part that is known from within the visits
    weight: float  # of the comparison, 1 for one that is independent of all others


def variance_prior(samples: Sequence[SampleVariance]) -> tuple[float, float]:
    """s0² and d0, summarised from their joint likelihood.

    limma takes moments of log s². From as few as three visits to ten families those scatter so much that 99 %
    intervals hold in 98 %; and one family whose variance is a thousand times the others' spoils them. So the
    likelihood is computed on a grid, flat in log s0² and log d0, as a mixture: with probability ``OUTLYING`` a family
    follows no prior (its log variance lies anywhere), which bounds its influence. d0 is summarised as (mean of
    d0⁻²)^(−1/2), because too many degrees cost more coverage than too few cost width; s0² as its mean, given that d0.

    Returns:
        s0², which may be 0, and d0.
    """
    variances = [sample.variance for sample in samples]
    positive = [variance for variance in variances if variance > 0]
    if not positive:
        return 0.0, DEGREES[-1]
    middle = median(variances) or min(positive)
    samples = [
        SampleVariance(max(sample.variance, MIN_SHARE * middle), sample.degrees, sample.within, sample.weight)
        for sample in samples
    ]
    coarse = [middle * share for share in grid(BETWEEN_STEP)]
    joint = [[log_likelihood(samples, between, degrees) for between in coarse] for degrees in DEGREES]
    weights = [math.fsum(row) for row in _weights(joint)]
    degrees = math.fsum(w / d0**2 for w, d0 in zip(weights, DEGREES, strict=True)) ** -0.5
    fine = [middle * share for share in grid(FINE_STEP)]
    (given,) = _weights([[log_likelihood(samples, between, degrees) for between in fine]])
    return math.fsum(w * between for w, between in zip(given, fine, strict=True)), degrees


def grid(step: float) -> list[float]:
    """The values of s0² that are tried, as multiples of the median sample variance: 0, and evenly in the logarithm."""
    low, high = BETWEEN_RANGE
    return [0.0, *(math.exp(low + step * i) for i in range(round((high - low) / step) + 1))]


def log_likelihood(samples: Sequence[SampleVariance], between: float, prior_degrees: float) -> float:
    """Of s0² = ``between`` and d0 = ``prior_degrees``: of log F, each density mixed with that of outlying families."""
    anywhere = OUTLYING / OUTLYING_RANGE
    half = prior_degrees / 2
    constants: dict[float, float] = {}
    total = []
    for sample in samples:
        own = sample.degrees / 2
        if own not in constants:
            constants[own] = math.lgamma(own + half) - math.lgamma(own) - math.lgamma(half)
        expected = between + sample.within
        if expected == 0:
            return -math.inf
        odds = own * sample.variance / (half * expected)
        density = math.exp(own * math.log(odds) - (own + half) * math.log1p(odds) + constants[own])
        total.append(sample.weight * math.log((1 - OUTLYING) * density + anywhere))
    return math.fsum(total)


def _weights(logs: Sequence[Sequence[float]]) -> list[list[float]]:
    """The logarithms' exponentials, divided by their sum."""
    greatest = max(max(row) for row in logs)
    values = [[math.exp(value - greatest) for value in row] for row in logs]
    total = math.fsum(math.fsum(row) for row in values)
    return [[value / total for value in row] for row in values]
