"""Estimates how much two runs of the same code differ, from all cases of the two runs themselves.

Every family is measured in a process of its own, and the machine is never the same twice. Neither can be seen within
one run, so an interval from one run's placements is too narrow for a comparison of two. Most cases did not change from
one run to the next; a change has to exceed the differences between those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np

from torchduet.reports.shifts.leave_out import Array, Ordered, ranked

MIN_UNITS, MIN_HALVES = 8, 4
FEW = 2.0  # medians on a shared machine: runs differ 1.7 to 2.1 times as much as halves, in speed-ups 1.1 to 1.4 times
NEAR, FAR = 0.8, 0.95  # quantiles that give, beside the median, the weight of the tail: between runs, within one
LIGHTEST = 1.35  # the shape at which both quantiles relate as in a normal distribution
HEAVIEST = 0.5  # a limit for fits to few values, which may give a tail without end


class Residual(NamedTuple):
    """A shift minus the shift that all cases have in common.

    Attributes:
        unit: the family: its cases share a process and are therefore not independent.
        noise: the spread of single placements, of both runs together (standard deviation of log times).
    """

    unit: str
    value: float
    noise: float


@dataclass(frozen=True)
class Spread:
    """The distribution of residuals: |residual| / √(noise² + between²) has a stretched exponential (Weibull) tail.

    P(ratio > x) = exp(−ln 2 · (x / middle)^shape). A shape of 1.35 is close to the normal distribution; a shape below 1
    is heavier than exponential, as on shared machines.
    """

    between: float
    middle: float
    shape: float

    def chance(self, value: float, noise: float) -> float:
        """The probability of a residual at least this far from 0 where nothing changed."""
        if value == 0:
            return 1.0
        scale = self._scale(noise)
        return math.exp(-math.log(2) * math.pow(abs(value) / scale, self.shape)) if scale else 0.0

    def reach(self, noise: float, confidence: float) -> float:
        """The distance from 0 that a residual does not exceed, with that confidence."""
        return self._scale(noise) * math.pow(math.log2(1 / (1 - confidence)), 1 / self.shape)

    def _scale(self, noise: float) -> float:
        return self.middle * math.hypot(noise, self.between)


def spread_of(residuals: Sequence[Residual], halves: Sequence[Residual]) -> Spread | None:
    """The spread of the residuals between two runs; None where there are too few halves to fit it to.

    Its scale is the residuals' median: an empirical null distribution (Efron 2004). The weight of its tail comes from
    quantiles that real changes do not reach: of the residuals the 80 % quantile, so that a fifth may have changed; of
    the ``halves`` the 95 % quantile, as the code is the same in both halves of a run. The heavier tail counts.

    Residuals of fewer than 8 families are too few; then runs are assumed to differ twice as much as halves.

    Args:
        residuals: of the cases, between the two runs.
        halves: the median of each run's second half of placements minus that of its first.
    """
    return spreads_without([None], residuals, halves)[0]


def spreads_without(
    units: Sequence[str | None], residuals: Sequence[Residual], halves: Sequence[Residual]
) -> list[Spread | None]:
    """For each unit, ``spread_of`` all residuals but its own; for None, of all.

    Leaving a few values out moves a median by a few ranks at most, so only few different scales occur: the cost grows
    with the number of residuals, not with its square.
    """
    if len(halves) < MIN_HALVES:
        return [None] * len(units)
    between_halves = _typical(halves)
    within = _ratios(halves, between_halves)
    tail, middle = _shape(median(within), within, FAR), median(within)
    few = Spread(between_halves, FEW * middle, tail)
    indices: dict[str | None, list[int]] = {}
    for index, residual in enumerate(residuals):
        indices.setdefault(residual.unit, []).append(index)
    values = np.array([abs(residual.value) for residual in residuals])
    noise = np.array([residual.noise for residual in residuals])
    ordered = ranked(values)
    scaled: dict[float, Ordered] = {}
    spreads: list[Spread | None] = []
    for unit in units:
        own = indices.get(unit, [])
        if len(indices) - bool(own) < MIN_UNITS:
            spreads.append(few)
            continue
        between = ordered.without(own).median()
        if between not in scaled:
            scaled[between] = ranked(_over(values, np.hypot(noise, between)))
        ratios = scaled[between].without(own)
        typical = ratios.median()
        spreads.append(Spread(between, max(typical, middle), min(tail, _shape(typical, ratios, NEAR))))
    return spreads


def _typical(residuals: Sequence[Residual]) -> float:
    return median(abs(residual.value) for residual in residuals)


def _ratios(residuals: Sequence[Residual], between: float) -> list[float]:
    """The residuals over their scales, sorted."""
    scales = np.hypot(np.array([residual.noise for residual in residuals]), between)
    return sorted(_over(np.array([abs(residual.value) for residual in residuals]), scales).tolist())


def _over(values: Array, scales: Array) -> Array:
    """Quotients; 0 where the scale is 0."""
    return np.divide(values, scales, out=np.zeros_like(values), where=scales != 0)


def _shape(middle: float, ratios: Sequence[float], far: float) -> float:
    """The shape of the Weibull distribution with that median and the sorted ratios' quantile ``far``, within limits."""
    end = ratios[min(math.ceil(far * (len(ratios) + 1)), len(ratios)) - 1]
    if not 0 < middle < end:
        return LIGHTEST
    shape = math.log(math.log2(1 / (1 - far))) / math.log(end / middle)
    return min(max(shape, HEAVIEST), LIGHTEST)
