"""Fisher and Snedecor's F distribution: the ratio of a sample's variance to one that a prior expects."""

from __future__ import annotations

import math

from torchduet.bench.record.distributions.incomplete_beta import incomplete_beta, log_shares


def upper_tail(ratio: float, degrees: float, prior_degrees: float) -> float:
    """P(F > ratio) with ``degrees`` and ``prior_degrees`` of freedom, all above 0 and finite.

    Abramowitz and Stegun 1964, 26.6.2: I_x(d0/2, d/2) with x = d0/(d0 + d·ratio).
    """
    if ratio <= 0:
        return 1.0
    log_odds = math.log(degrees) + math.log(ratio) - math.log(prior_degrees)
    return incomplete_beta(prior_degrees / 2, degrees / 2, *log_shares(log_odds))
