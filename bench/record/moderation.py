"""Intervals over visits: the variance between the visits of one family, moderated by that of all families.

A family is measured in several visits, each by a fresh process. One visit's value, a log ratio or a log time, is

    y_v = µ + b_v + e_v

where b_v differs from visit to visit (another process, another minute) and e_v is the error of the visit's own
placements, whose variance w is known from them. With three to eight visits the variance s² of the values is itself
uncertain: an interval from it alone would be several times too wide. So s² is moderated by the variances of all
families of the run (Smyth 2004, *Linear models and empirical Bayes methods for assessing differential expression in
microarray experiments*): they are taken to be (s0² + w)·d0/χ²(d0), with s0² and d0 estimated from all families, and the
interval of K visits is

    centre ± t(d0 + d) · s~ · √(c/K),    s~² = (d0·(s0² + w) + d·s²) / (d0 + d)

It is never narrower than the placements alone would make it: centre ± z · √(w·c/K), with z of the normal distribution.
From five visits on, the centre is the mean without the least and the greatest fifth of the values, as one visit in ten
to thirty is far off; d and c are those of :func:`trimmed_mean`. Of fewer it is the mean, with d = K − 1 and c = 1.

A family whose s² the prior hardly expects gets fewer prior degrees, down to none (as in Phipson et al. 2016, *Robust
hyperparameter estimation protects against hypervariable genes and improves power to detect differential expression*):
d0·p/``UNLIKELY``, where p is the probability of an s² as large.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.bench.record.distributions.trimmed_mean import trimmed_mean
from torchduet.bench.record.distributions.variance_prior import SampleVariance, variance_prior
from torchduet.bench.record.distributions.variance_ratio import upper_tail
from torchduet.bench.record.schema.words import PriorOf, PriorSource
from torchduet.bench.record.statistics import CONFIDENCE

MIN_FAMILIES = 5  # with two visits or more: from fewer no prior is estimated
BUILT_IN_VISITS = 2  # the most for which built-in figures are used: two have one degree of freedom, t = 64
MIN_TRIMMED_ALONE = 8  # visits without a prior that are trimmed: of fewer the trimmed variance has too few degrees
UNLIKELY = 0.05  # the share of families, by the prior, that get fewer prior degrees as their variance is so large
MAX_FITTED = 2000  # comparisons that a prior is estimated from: more make it no better, as far as intervals show
MAX_DEGREES = 1e6  # of a prior: as good as infinity


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
    def within(self) -> float:
        """w, the variance that the visits' own placements explain; 0 if no error is known.

        The median of the squared errors: a single disturbed visit does not widen the interval of the others.
        """
        known = [error * error for error in self.errors if error is not None]
        return median(known) if known else 0.0


@dataclass(frozen=True)
class Prior:
    """What the visits of a family are expected to differ by, before they are made."""

    deviation: float  # s0: typical standard deviation between visits, without the part within; log scale
    degrees: float  # d0: how alike families are; ``math.inf``: all have the same variance
    families: int  # from how many it was estimated
    source: PriorSource


@dataclass(frozen=True)
class Estimate:
    """A centre over visits with its interval, ``low <= point <= high``, on the log scale; infinite without one."""

    point: float
    low: float
    high: float
    deviation: float  # s~: of one visit's value, between visits and within
    degrees: float  # of Student's t; 0 without an interval
    visits: int
    prior: PriorSource

    @property
    def half_width(self) -> float:
        """Half the width of the interval: 0.01 reads as ±1 %."""
        return (self.high - self.low) / 2


# Built in, for a single visit on a machine whose earlier runs left nothing. Measured on a 2-core VM: with these, no
# single visit of the same comparisons missed the centre of the others (docs/method.md).
TYPICAL: Mapping[PriorOf, Prior] = {
    "speedups": Prior(0.02, 2.0, 52, "typical"),
    "copies": Prior(0.005, 2.0, 12, "typical"),
    "times": Prior(0.05, 1.4, 78, "typical"),
    "sides": Prior(0.02, 1.4, 36, "typical"),
    "device speedups": Prior(0.02, 2.0, 52, "typical"),  # those of speed-ups as called: not measured on their own
}


def fit(comparisons: Sequence[tuple[str, Visits]]) -> Prior | None:
    """The distribution of variances over the families of a run, by :func:`variance_prior`.

    Comparisons of one family share its reference and depend on each other: each weighs 1 / their number. Of thousands,
    as of a merged run, some are taken, evenly spread.

    Args:
        comparisons: the name of the family, and the values of one comparison in it.

    Returns:
        None if fewer than ``MIN_FAMILIES`` families have two visits.
    """
    repeated = [(family, visits) for family, visits in comparisons if len(visits.values) > 1]
    repeated = repeated[:: 1 + (len(repeated) - 1) // MAX_FITTED] if repeated else []
    sizes = Counter(family for family, _ in repeated)
    if len(sizes) < MIN_FAMILIES:
        return None
    samples = []
    for family, visits in repeated:
        own = trimmed_mean(visits.values)
        samples.append(SampleVariance(own.variance, own.degrees, visits.within, 1 / sizes[family]))
    between, degrees = variance_prior(samples)
    return Prior(math.sqrt(between), degrees, len(sizes), "run")


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
    """The centre over visits, and its interval by moderated t.

    A single visit has no variance of its own: its interval has the prior's degrees and the scale √(s0² + w). Without a
    prior, or with a built-in one and three visits or more, the interval is the plain t of the visits, and their mean is
    trimmed only from ``MIN_TRIMMED_ALONE`` on. A single visit without a prior has an infinite interval.
    """
    found = _moderated(visits, prior)
    return found.estimate(found.centre, found.error, found.least_error, found.degrees, confidence)


def difference(
    a: Visits, b: Visits, prior_a: Prior | None, prior_b: Prior | None, confidence: float = CONFIDENCE
) -> Estimate:
    """The centre of ``a`` less that of ``b``, two independent sets of visits, as of two runs.

    The variances of the two centres add up; the degrees of freedom are those of Satterthwaite (1946) and Welch (1947),
    for trimmed means as in Yuen (1974). ``visits``, ``deviation`` and ``prior`` of the result are those of the set
    whose centre is less sure.
    """
    one, other = _moderated(a, prior_a), _moderated(b, prior_b)
    error = math.hypot(one.error, other.error)
    if not one.degrees or not other.degrees:
        degrees = 0.0
    elif error == 0:
        degrees = one.degrees + other.degrees
    else:
        degrees = 1 / math.fsum((part.error / error) ** 4 / part.degrees for part in (one, other))
    less_sure = max(one, other, key=lambda part: (not part.degrees, part.error))
    least_error = math.hypot(one.least_error, other.least_error)
    return less_sure.estimate(one.centre - other.centre, error, least_error, degrees, confidence)


@dataclass(frozen=True)
class _Moderated:
    """A centre over visits with its standard error; 0 degrees of freedom: the error is unknown."""

    centre: float
    error: float
    least_error: float  # by the placements within the visits alone
    deviation: float
    degrees: float
    visits: int
    prior: PriorSource

    def estimate(self, point: float, error: float, least_error: float, degrees: float, confidence: float) -> Estimate:
        """The interval about ``point``; what it rests on is said of this set of visits."""
        width = math.inf
        if degrees:
            by_visits = error and error * two_sided_quantile(confidence, degrees)
            width = max(by_visits, least_error * two_sided_quantile(confidence, math.inf))
        return Estimate(point, point - width, point + width, self.deviation, degrees, self.visits, self.prior)


def _moderated(visits: Visits, prior: Prior | None) -> _Moderated:
    values, within = visits.values, visits.within
    source: PriorSource = "none"
    if prior is None or (prior.source == "typical" and len(values) > BUILT_IN_VISITS):
        own = trimmed_mean(values, at_least=MIN_TRIMMED_ALONE)
        variance, total = own.variance, own.degrees
    else:
        own, expected, source = trimmed_mean(values), prior.deviation**2 + within, prior.source
        degrees = prior_degrees(own.variance, own.degrees, expected, min(prior.degrees, MAX_DEGREES))
        total = degrees + own.degrees
        variance = (degrees * expected + own.degrees * own.variance) / total
    error, least_error = (math.sqrt(of * own.inflation / own.count) for of in (variance, within))
    return _Moderated(own.centre, error, least_error, math.sqrt(variance), total, own.count, source)


def prior_degrees(variance: float, degrees: float, expected: float, prior: float) -> float:
    """The prior's degrees of freedom for one family: fewer if its variance is larger than the prior lets expect.

    Args:
        variance, degrees: s² of its visits and d.
        expected: s0² + w.
        prior: d0.
    """
    if variance <= expected or not degrees:
        return prior
    if expected == 0:
        return 0.0
    return prior * min(1.0, upper_tail(variance / expected, degrees, prior) / UNLIKELY)
