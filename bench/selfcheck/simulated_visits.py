"""Draws the visits of simulated runs whose true values are known: 0 in every comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from torchduet.bench.selfcheck.many_moderations import Floats

WITHIN = 0.01  # standard error of a visit's value by its own placements …
ERROR_DEGREES = 7  # … which eight placements estimate
OFF_SHARE, OFF = 0.1, math.log(1.5)  # with heavy tails: how many visits are off, and by how much, up or down
MEDIAN_CHI2 = {1.4: 0.81485, 4.0: 3.35669}  # of χ² with these degrees of freedom


@dataclass(frozen=True)
class Cell:
    """One kind of run. The between-visit variance of a family is distributed as c/χ²(degrees)."""

    visits: int
    families: int
    deviation: float  # between visits, of the median family; log scale
    degrees: float  # how alike families are: infinity, 4, or 1.4 as measured
    heavy: bool = False  # one visit in ten is off by half
    comparisons: int = 1  # of one family: they share their reference and the variance


@dataclass(frozen=True)
class Simulated:
    """The visits of simulated runs; comparisons of one family are neighbours."""

    values: Floats  # runs × comparisons × visits
    errors: Floats  # their standard errors, as the placements tell
    deviation: Floats  # true one between visits, runs × comparisons


def draw(cell: Cell, runs: int, generator: np.random.Generator) -> Simulated:
    """Draw the visits of so many runs of a cell."""
    families = (runs, cell.families, 1, 1)
    deviation: Floats = np.full(families, cell.deviation)
    if math.isfinite(cell.degrees):
        deviation *= np.sqrt(MEDIAN_CHI2[cell.degrees] / generator.chisquare(cell.degrees, families))
    shape = (runs, cell.families, cell.comparisons, cell.visits)
    values = deviation * generator.standard_normal(shape) + WITHIN * generator.standard_normal(shape)
    if cell.comparisons > 1:  # the reference of the family has half of the variance
        shared = (runs, cell.families, 1, cell.visits)
        reference = deviation * generator.standard_normal(shared) + WITHIN * generator.standard_normal(shared)
        values = (values + reference) / math.sqrt(2)
    if cell.heavy:
        off = generator.random(shape) < OFF_SHARE
        values += off * OFF * generator.choice([-1.0, 1.0], shape)
    errors = WITHIN * np.sqrt(generator.chisquare(ERROR_DEGREES, shape) / ERROR_DEGREES)
    flat = (runs, cell.families * cell.comparisons, cell.visits)
    each = np.broadcast_to(deviation, (*shape[:3], 1)).reshape(flat[:2])
    return Simulated(values.reshape(flat), errors.reshape(flat), each)
