"""Intervals over visits: the variance between the visits of one family, moderated by that of all families.

A family is measured in several visits, each by a fresh process. One visit's value, a log ratio or a log time, is

    y_v = µ + b_v + e_v

where b_v differs from visit to visit (another process, another minute) and e_v is the error of the visit's own
placements, whose variance w is known from them. With three to eight visits the variance s² of the values is itself
uncertain: an interval from it alone would be several times too wide. So s² is moderated by the variances of all
families (Smyth 2004, *Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments*): the variance of a family is taken to be (s0² + w)·d0/χ²(d0), with s0² and d0 estimated from all of them,
and the interval is

    mean ± t(d0 + d) · s~ / √K,    s~² = (d0·(s0² + w) + d·s²) / (d0 + d), never below w

for K visits, d = K − 1. Standard library only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from torchduet.bench.record.distributions.polygamma import digamma, trigamma, trigamma_inverse
from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.bench.record.schema.words import PriorOf, PriorSource
from torchduet.bench.record.statistics import CONFIDENCE

MIN_FAMILIES = 5  # with two visits or more: from fewer no prior is estimated
MIN_DEGREES = 30  # of freedom, over these families: two visits to each of 22 do not show how alike families are
BUILT_IN_VISITS = 2  # the most for which built-in figures are used: two have one degree of freedom, t = 64
LEAST_SHARE = 1e-5  # of the median variance: a smaller one counts as this (as in limma), as its logarithm may not exist


@dataclass(frozen=True)
class Visits:
    """One comparison's values.

    Raises:
        ValueError: no values, a value that is not finite, an error that is negative or not finite, or not one error
            per value.
    """

    values: tuple[float, ...]  # one per visit: log ratios, or log times
    errors: tuple[float | None, ...]  # standard error of each by the visit's own placements; None: unknown

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(value) for value in self.values):
            raise ValueError(f"visits need finite values, got {list(self.values)[:5]}")
        if len(self.errors) != len(self.values):
            raise ValueError(f"{len(self.values)} visits need as many errors, got {len(self.errors)}")
        if not all(error is None or 0 <= error < math.inf for error in self.errors):
            raise ValueError(f"the errors of visits are finite and not negative, or None, got {list(self.errors)[:5]}")

    @property
    def mean(self) -> float:
        """The mean over visits."""
        return fmean(self.values)

    @property
    def variance(self) -> float:
        """The variance of the values, with one visit less than there are as divisor; 0 for one visit."""
        if len(self.values) < 2:
            return 0.0
        mean = self.mean
        return math.fsum((value - mean) ** 2 for value in self.values) / (len(self.values) - 1)

    @property
    def within(self) -> float:
        """The variance that the visits' own placements explain: the mean square of the known errors, else 0."""
        known = [error for error in self.errors if error is not None]
        return fmean([error * error for error in known]) if known else 0.0


@dataclass(frozen=True)
class Prior:
    """What the visits of a family are expected to differ by, before they are made."""

    deviation: float  # typical standard deviation between visits, without the part within; log scale
    degrees: float  # of freedom: how alike families are; ``math.inf``: all have the same variance
    families: int  # from how many it was estimated
    source: PriorSource


@dataclass(frozen=True)
class Estimate:
    """A mean over visits with its interval, ``low <= point <= high``, on the log scale; infinite without one."""

    point: float
    low: float
    high: float
    deviation: float  # of one visit's value, as the interval allows for
    degrees: float  # of Student's t; 0 without an interval
    visits: int
    prior: PriorSource

    @property
    def half_width(self) -> float:
        """Half the width of the interval: 0.01 reads as ±1 %."""
        return (self.high - self.low) / 2


# Built in, for a single visit on a machine whose earlier runs left nothing.
TYPICAL: Mapping[PriorOf, Prior] = {
    "speedups": Prior(0.019, 1.4, 36, "typical"),
    "copies": Prior(0.005, 1.4, 36, "typical"),
    "times": Prior(0.05, 1.4, 36, "typical"),
}


def fit(comparisons: Sequence[tuple[str, Visits]]) -> Prior | None:
    """The distribution of variances over the families of a run, by moments of their logarithms (Smyth 2004, §6.2).

    Comparisons of one family share its reference and depend on each other: each weighs 1 / their number.

    Args:
        comparisons: the name of the family, and the values of one comparison in it.

    Returns:
        None if fewer than ``MIN_FAMILIES`` families have two visits, or if they have fewer than ``MIN_DEGREES``.
    """
    repeated = [(family, visits) for family, visits in comparisons if len(visits.values) > 1]
    sizes = Counter(family for family, _ in repeated)
    if len(sizes) < MIN_FAMILIES:
        return None
    weights = [1 / sizes[family] / len(sizes) for family, _ in repeated]
    degrees = [len(visits.values) - 1 for _, visits in repeated]
    within = [visits.within for _, visits in repeated]
    pooled = len(sizes) * math.fsum(w * d for w, d in zip(weights, degrees, strict=True))
    if pooled < MIN_DEGREES:
        return None
    variances = [visits.variance for _, visits in repeated]
    positive = [variance for variance in variances if variance > 0]
    if not positive:
        return Prior(0.0, pooled, len(sizes), "run")
    least = LEAST_SHARE * (median(variances) or min(positive))
    logs = [
        math.log(max(variance, least)) - digamma(d / 2) + math.log(d / 2)
        for variance, d in zip(variances, degrees, strict=True)
    ]
    sampling = math.fsum(w * trigamma(d / 2) for w, d in zip(weights, degrees, strict=True))

    def moments(between: float) -> tuple[float, float]:
        """How far the mean log variance lies above what ``between`` predicts, and the degrees by the spread."""
        excess = [log - math.log(between + w) for log, w in zip(logs, within, strict=True)]
        mean = math.fsum(w * e for w, e in zip(weights, excess, strict=True))
        spread = math.fsum(w * (e - mean) ** 2 for w, e in zip(weights, excess, strict=True))
        beyond = spread * len(sizes) / (len(sizes) - 1) - sampling
        prior = min(2 * trigamma_inverse(beyond), pooled) if beyond > 0 else pooled
        return mean - math.log(prior / 2) + digamma(prior / 2), prior

    low, high = math.log(least) - 20.0, math.log(max(positive)) + 20.0
    if moments(math.exp(low))[0] <= 0:
        return Prior(0.0, moments(math.exp(low))[1], len(sizes), "run")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if moments(math.exp(middle))[0] > 0 else (low, middle)
    between = math.exp((low + high) / 2)
    return Prior(math.sqrt(between), moments(between)[1], len(sizes), "run")


def prior_for(of: PriorOf, comparisons: Sequence[tuple[str, Visits]], machine: Prior | None) -> Prior | None:
    """What the variances of these comparisons are moderated by.

    The families of the run where they are enough, else what earlier runs on the machine taught. Without either, None
    if every comparison has three visits, as the visits then speak for themselves; else the built-in figures, which
    :func:`estimate` uses for one or two visits alone.
    """
    found = fit(comparisons) or machine
    if found or all(len(visits.values) > BUILT_IN_VISITS for _, visits in comparisons):
        return found
    return TYPICAL[of]


def estimate(visits: Visits, prior: Prior | None, confidence: float = CONFIDENCE) -> Estimate:
    """The mean over visits, and its interval by moderated t.

    A single visit has no variance of its own: its interval has the prior's degrees and scale √(s0² + w). Without a
    prior, or with a built-in one and three visits or more, it is the plain t of the visits. A single visit without a
    prior has no interval: it is infinite.
    """
    deviation, degrees, source = _moderated(visits, prior)
    return _around(visits.mean, deviation / math.sqrt(len(visits.values)), degrees, confidence).of(
        deviation, len(visits.values), source
    )


def difference(
    a: Visits, b: Visits, prior_a: Prior | None, prior_b: Prior | None, confidence: float = CONFIDENCE
) -> Estimate:
    """The mean of ``a`` less that of ``b``, two independent sets of visits, as of two runs.

    The variances of the two means add up; the degrees of freedom are those of Satterthwaite (1946) and Welch (1947).
    The estimate's visits are those of the set with fewer, and its prior is that set's.
    """
    parts = [(visits, *_moderated(visits, prior)) for visits, prior in ((a, prior_a), (b, prior_b))]
    variances = [deviation**2 / len(visits.values) for visits, deviation, _, _ in parts]
    total = math.fsum(variances)
    if any(degrees == 0 for _, _, degrees, _ in parts):
        degrees = 0.0
    elif total == 0:
        degrees = math.fsum(part[2] for part in parts)
    else:
        degrees = 1 / math.fsum((v / total) ** 2 / part[2] for v, part in zip(variances, parts, strict=True))
    fewest = min(parts, key=lambda part: len(part[0].values))
    deviation = math.sqrt(total * len(fewest[0].values))
    return _around(a.mean - b.mean, math.sqrt(total), degrees, confidence).of(
        deviation, len(fewest[0].values), fewest[3]
    )


def _moderated(visits: Visits, prior: Prior | None) -> tuple[float, float, PriorSource]:
    """The standard deviation of one visit's value, its degrees of freedom (0: unknown), and what moderated it."""
    own, within = len(visits.values) - 1, visits.within
    if prior is None or (prior.source == "typical" and own >= BUILT_IN_VISITS):
        return math.sqrt(max(visits.variance, within)), own, "none"
    expected = prior.deviation**2 + within
    if math.isinf(prior.degrees):
        return math.sqrt(expected), math.inf, prior.source
    total = prior.degrees + own
    variance = (prior.degrees * expected + own * visits.variance) / total
    return math.sqrt(max(variance, within)), total, prior.source


@dataclass(frozen=True)
class _Bounds:
    point: float
    half_width: float
    degrees: float

    def of(self, deviation: float, visits: int, prior: PriorSource) -> Estimate:
        low, high = self.point - self.half_width, self.point + self.half_width
        return Estimate(self.point, low, high, deviation, self.degrees, visits, prior)


def _around(point: float, error: float, degrees: float, confidence: float) -> _Bounds:
    """The interval of a value with standard error ``error``."""
    width = two_sided_quantile(confidence, degrees) * error if degrees and error else (0.0 if degrees else math.inf)
    return _Bounds(point, width, degrees)
