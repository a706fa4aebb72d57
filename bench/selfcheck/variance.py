"""Divides a variance among the levels of a nested experiment: interpreters, their forks, a fork's placements. No torch.

A balanced three-stage nested design with random effects (Searle, Casella and McCulloch 1992, *Variance Components*,
chapter 4; Montgomery, *Design and Analysis of Experiments*, chapter 14):

    value_ijk = mean + interpreter_i + fork_ij + placement_ijk
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

SHUFFLES = 4999
SEED = "torchduet levels"

Nested = Sequence[Sequence[Sequence[float]]]  # [interpreter][fork][placement]


@dataclass(frozen=True)
class Levels:
    """Standard deviations by level, on the scale of the values.

    Attributes:
        mean: of all values.
        interpreters: between interpreters, by the component of the variance; 0 where the estimate is negative.
        forks: between the means of forks of one interpreter, their placements' part included.
        placements: what the mean of a fork would scatter by if its placements alone differed.
        forks_alone: between forks, without their placements' part; 0 where the estimate is negative.
        ratio: F, the mean square between interpreters over that between their forks: about 1 without a difference.
    """

    mean: float
    interpreters: float
    forks: float
    placements: float
    forks_alone: float
    ratio: float


def levels(values: Nested) -> Levels:
    """The variance by level.

    Raises:
        ValueError: fewer than two of a level, or not the same number everywhere.
    """
    means = fork_means(values)
    number_of_forks, number_of_placements = _balanced(values)
    of_interpreters, of_forks = mean_squares(means)
    of_placements = fmean(variance(placements) for forks in values for placements in forks)
    return Levels(
        mean=fmean(mean for forks in means for mean in forks),
        interpreters=_root((of_interpreters - of_forks) / number_of_forks),
        forks=math.sqrt(of_forks),
        placements=math.sqrt(of_placements / number_of_placements),
        forks_alone=_root(of_forks - of_placements / number_of_placements),
        ratio=_ratio(of_interpreters, of_forks),
    )


def fork_means(values: Nested) -> list[list[float]]:
    """The mean of each fork's placements."""
    return [[fmean(placements) for placements in forks] for forks in values]


def _balanced(values: Nested) -> tuple[int, int]:
    """How many forks an interpreter has, and how many placements a fork."""
    forks = {len(forks) for forks in values}
    placements = {len(placements) for forks in values for placements in forks}
    if len(values) < 2 or len(forks) != 1 or len(placements) != 1 or min(forks | placements) < 2:
        raise ValueError("needs two interpreters or more with the same number of forks and placements, each from two")
    return forks.pop(), placements.pop()


def mean_squares(means: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The mean squares of forks' means: between interpreters, and between the forks of one."""
    between = len(means[0]) * variance([fmean(forks) for forks in means])
    return between, fmean(variance(forks) for forks in means)


def chance(values: Nested) -> float:
    """How often F is as large as here if the forks are dealt to interpreters at random (Pitman 1938).

    It assumes no shape of the scatter. The observed F counts among the deals.
    """
    means = fork_means(values)
    size = len(means[0])
    flat = [mean for forks in means for mean in forks]
    observed = _ratio(*mean_squares(means))
    rng = random.Random(SEED)
    as_large = 1
    for _ in range(SHUFFLES):
        rng.shuffle(flat)
        dealt = [flat[start : start + size] for start in range(0, len(flat), size)]
        as_large += _ratio(*mean_squares(dealt)) >= observed
    return as_large / (SHUFFLES + 1)


def _ratio(of_interpreters: float, of_forks: float) -> float:
    return of_interpreters / of_forks if of_forks else math.inf


def _root(component: float) -> float:
    return math.sqrt(max(0.0, component))
