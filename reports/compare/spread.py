"""How far two runs of the same code lie apart without a cause: fitted to all cases of the two runs themselves.

Every family is measured in a process of its own, and the machine is never the same twice. Neither is seen from
within a run, so that an interval from one run's placements is too narrow for a comparison of two. Most cases did
not change from one run to the next; how far they lie apart all the same is what a change has to exceed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np

from torchduet.reports.compare.leave_out import Array, Ordered, ranked

MIN_UNITS, MIN_HALVES = 8, 4
FEW = 2.0  # medians of runs on a shared machine: times 1.7 to 2.1 times as far apart as halves, speed-ups 1.1 to 1.4
NEAR, FAR = 0.8, 0.95  # quantiles that tell, beside the median, how heavy the tail is: between runs, within one
LIGHTEST = 1.35  # the shape at which the two quantiles stand as those of a normal distribution do
HEAVIEST = 0.5  # few values may ask for a tail without end


class Residual(NamedTuple):
    """What is left of a shift without what all cases have in common.

    Attributes:
        unit: what shares a process, and so is not independent: the family.
        noise: the spread of single placements, of both runs together (standard deviation of log times).
    """

    unit: str
    value: float
    noise: float


@dataclass(frozen=True)
class Spread:
    """The law of residuals: |residual| / √(noise² + between²) has a stretched exponential (Weibull) tail.

    P(ratio > x) = exp(−ln 2 · (x / middle)^shape). With a shape of 1.35 it lies near the normal distribution's;
    below 1 it is heavier than exponential, as on machines that others share.
    """

    between: float
    middle: float
    shape: float

    def chance(self, value: float, noise: float) -> float:
        """How likely a residual at least this far from 0 is where nothing changed."""
        if value == 0:
            return 1.0
        scale = self._scale(noise)
        return math.exp(-math.log(2) * math.pow(abs(value) / scale, self.shape)) if scale else 0.0

    def reach(self, noise: float, confidence: float) -> float:
        """How far from 0 a residual lies at most, with that confidence."""
        return self._scale(noise) * math.pow(math.log2(1 / (1 - confidence)), 1 / self.shape)

    def _scale(self, noise: float) -> float:
        return self.middle * math.hypot(noise, self.between)


def spread_of(residuals: Sequence[Residual], halves: Sequence[Residual]) -> Spread | None:
    """The spread of the residuals between two runs; None where there is too little to fit it to.

    How far runs lie apart is the residuals' median: an empirical null distribution (Efron 2004). How heavy its tail
    is follows from quantiles that the changes looked for cannot reach: of the residuals no more than 80 %, so that
    a fifth may have changed; and 95 % of the ``halves``, each run's second half of placements held against its
    first, in which the code is the same. The heavier of both counts.

    Residuals of fewer than 8 families tell too little; then runs are taken to lie twice as far apart as halves.
    """
    return spreads_without([None], residuals, halves)[0]


def spreads_without(
    units: Sequence[str | None], residuals: Sequence[Residual], halves: Sequence[Residual]
) -> list[Spread | None]:
    """For each unit, ``spread_of`` all residuals but its own; all of them for None.

    Leaving a few values out moves a median by a few places at most, so that only few different scales are asked
    for: the cost grows with the residuals, not with their square.
    """
    if len(halves) < MIN_HALVES:
        return [None] * len(units)
    apart = _typical(halves)
    within = _ratios(halves, apart)
    tail, middle = _shape(median(within), within, FAR), median(within)
    few = Spread(apart, FEW * middle, tail)
    places: dict[str | None, list[int]] = {}
    for place, one in enumerate(residuals):
        places.setdefault(one.unit, []).append(place)
    values = np.array([abs(one.value) for one in residuals])
    noise = np.array([one.noise for one in residuals])
    ordered = ranked(values)
    scaled: dict[float, Ordered] = {}
    found: list[Spread | None] = []
    for unit in units:
        own = places.get(unit, [])
        if len(places) - bool(own) < MIN_UNITS:
            found.append(few)
            continue
        between = ordered.without(own).median()
        if between not in scaled:
            scaled[between] = ranked(_over(values, np.hypot(noise, between)))
        ratios = scaled[between].without(own)
        typical = ratios.median()
        found.append(Spread(between, max(typical, middle), min(tail, _shape(typical, ratios, NEAR))))
    return found


def _typical(residuals: Sequence[Residual]) -> float:
    return median(abs(one.value) for one in residuals)


def _ratios(residuals: Sequence[Residual], between: float) -> list[float]:
    """The residuals over their scales, sorted."""
    noise = np.hypot(np.array([one.noise for one in residuals]), between)
    return sorted(_over(np.array([abs(one.value) for one in residuals]), noise).tolist())


def _over(values: Array, scales: Array) -> Array:
    """Quotients; 0 where the scale is."""
    return np.divide(values, scales, out=np.zeros_like(values), where=scales != 0)


def _shape(middle: float, ratios: Sequence[float], far: float) -> float:
    """The shape of the Weibull law with that median and these sorted ratios' quantile at ``far``, within limits."""
    end = ratios[min(math.ceil(far * (len(ratios) + 1)), len(ratios)) - 1]
    if not 0 < middle < end:
        return LIGHTEST
    shape = math.log(math.log2(1 / (1 - far))) / math.log(end / middle)
    return min(max(shape, HEAVIEST), LIGHTEST)
