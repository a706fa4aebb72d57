"""Estimates how much further two runs of the same code lie apart than their visits show, from all cases of the runs.

The visits of a run show how much processes and minutes differ. They cannot show what holds for a whole run, such as
what other tenants of the host do all that time: it moves some kinds of calls more than others and more than the
pilots. Most cases do not change from one run to the next, so their shifts show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from torchduet.bench.record.distributions.student_t import two_sided_quantile, two_sided_tail
from torchduet.bench.record.moderation import Estimate
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.shifts.leave_out import ranked
from torchduet.reports.shifts.spread import MIN_UNITS


@dataclass(frozen=True)
class VisitSpread:
    """How far the difference of two runs' visits lies from 0 where the code did not change: a scaled Student's t.

    Attributes:
        estimate: the difference, with its standard error and degrees of freedom.
        factor: by how much more the two runs differ than their visits show, at least 1.
    """

    estimate: Estimate
    factor: float = 1.0

    def reach(self) -> float:
        """The distance that it does not exceed, at the confidence of the estimate's interval."""
        return self.factor * self.estimate.half_width

    def chance(self, distance: float) -> float:
        """The probability of a difference at least this far from 0."""
        if distance == 0 or not self.estimate.degrees:
            return 1.0
        error = self.factor * error_of(self.estimate)
        return two_sided_tail(abs(distance) / error, self.estimate.degrees) if error else 0.0


def error_of(estimate: Estimate) -> float:
    """The standard error of a difference, from the half-width of its interval."""
    return estimate.half_width / two_sided_quantile(CONFIDENCE, estimate.degrees)


def factors_without(units: Sequence[str], estimates: Sequence[Estimate], common: float) -> dict[str, float]:
    """For each unit, the factor of all other units' cases; 1 where there are fewer than 8 of these.

    Each case's |difference − common shift| is divided by the median that its own t distribution has. If the visits
    show all there is, half of these quotients lie below 1. Their median is the factor: an empirical null distribution
    (Efron 2004). Up to half of the cases may have changed. A unit's own cases are left out, so that a change does not
    widen its own interval.

    Args:
        units: of each estimate, its family, whose cases share processes.
        common: the shift that all cases have in common.
    """
    indices: dict[str, list[int]] = {}
    quotients: list[float] = []
    for unit, estimate in zip(units, estimates, strict=True):
        scale = error_of(estimate) * two_sided_quantile(0.5, estimate.degrees) if estimate.degrees else 0.0
        if scale:
            indices.setdefault(unit, []).append(len(quotients))
            quotients.append(abs(estimate.point - common) / scale)
    ordered = ranked(np.array(quotients))
    factors = {}
    for unit in dict.fromkeys(units):
        own = indices.get(unit, [])
        enough = len(indices) - bool(own) >= MIN_UNITS
        factors[unit] = max(1.0, ordered.without(own).median()) if enough else 1.0
    return factors
