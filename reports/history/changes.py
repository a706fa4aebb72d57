"""Finds the change points of one series of logs, one value per run.

The series is taken to be level but for steps, with noise whose size and correlation from run to run are estimated
from the series itself. Measured false-alarm and detection rates: see ``torchduet.reports.history.rates``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from ruptures.detection.kernelcpd import KernelCPD
from scipy.ndimage import median_filter

from torchduet.bench.record.statistics import Interval
from torchduet.reports.compare.two_sample import shift
from torchduet.reports.history.series import Numbers

MIN_RUNS = 10  # of a series in which change points are sought: the noise is not known from fewer
AFTER = 3  # runs that a level lasts at least
PENALTY = 3.0  # times log n times the long-run variance
WINDOW, OUTLYING = 9, 2.0  # of the running median that tells outliers; noises from it
MAX_CORRELATED = 0.9
PRIOR_RUNS = 50
NEAR = 30  # runs on either side by which a step is judged
BAI = 11.03  # 97.5 % quantile of where the maximum of two-sided Brownian motion with drift −|t|/2 lies
NORMAL = 1.4826  # standard deviations in a normal distribution's median absolute deviation


@dataclass(frozen=True)
class Noise:
    """What moves a series without a step.

    Attributes:
        deviation: of single values about their level (standard deviation of logs).
        correlation: of neighbouring values, from 0.
    """

    deviation: float
    correlation: float

    @property
    def long_run(self) -> float:
        """The long-run variance: n times the variance of the mean of n values, for large n."""
        return self.deviation**2 * (1 + self.correlation) / (1 - self.correlation)


@dataclass(frozen=True)
class Step:
    """From one level to the next.

    Attributes:
        place: of the first value after it.
        height: level after − level before, with its 99 % interval; infinite where too few runs carry one.
        reach: so many values earlier or later it may lie as well (95 %).
    """

    place: int
    height: Interval
    reach: int


def noise_of(values: Numbers) -> Noise:
    """Deviation and correlation by medians of absolute differences, which steps and outliers hardly touch.

    For a first-order autoregressive series, Var(x[t+2] − x[t]) / Var(x[t+1] − x[t]) = 1 + ρ (Chakar, Lebarbier,
    Lévy-Leduc & Robin 2017, "A robust approach for estimating change-points in the mean of an AR(1) process").
    """
    one, two = (NORMAL * float(np.median(np.abs(values[lag:] - values[:-lag]))) for lag in (1, 2))
    correlation = min(max((two / one) ** 2 - 1, 0.0), MAX_CORRELATED) if one else 0.0
    return Noise(one / math.sqrt(2 * (1 - correlation)), correlation)


def pooled(noises: Sequence[Noise]) -> Noise:
    """What the series of one machine have in common: the median deviation and correlation."""
    return Noise(median(one.deviation for one in noises), median(one.correlation for one in noises))


def steadied(own: Noise, runs: int, common: Noise) -> Noise:
    """A series' own noise, drawn towards what all have in common where its runs are few.

    The correlation of 20 values is hardly known, and a deviation that came out small by chance makes steps of
    anything; so the one is averaged with the common one, as if that came from 50 runs, and the other is taken to be
    at least half the common one.
    """
    weight = runs / (runs + PRIOR_RUNS)
    correlation = weight * own.correlation + (1 - weight) * common.correlation
    # What is known well is the deviation of differences; that of values follows from it and the correlation.
    deviation = own.deviation * math.sqrt((1 - own.correlation) / (1 - correlation))
    return Noise(max(deviation, common.deviation / 2), correlation)


def calmed(values: Numbers, noise: Noise) -> Numbers:
    """The series with outliers drawn in to two deviations about a running median of nine (Hampel's filter).

    A run that was disturbed is no change point; squared deviations would make one of it. So a level has to last five
    runs to be seen, or three at the end of the series, which is mirrored there.
    """
    middle = median_filter(values, WINDOW, mode="reflect")
    return np.clip(values, middle - OUTLYING * noise.deviation, middle + OUTLYING * noise.deviation)


def steps(values: Numbers, noise: Noise, threshold: float) -> list[Step]:
    """The steps of a series of finite logs that exceed a threshold (of the log), in the order of time.

    Least squares with a penalty per change point, minimised exactly by PELT (Killick, Fearnhead & Eckley 2012,
    "Optimal detection of changepoints with a linear computational cost"), in the implementation of the library
    ruptures (Truong, Oudre & Vayatis 2020). The penalty is 3 log n times the long-run variance: log n as in Yao
    (1988), "Estimating the number of change-points via Schwarz' criterion", and the long-run variance because
    neighbouring runs are alike (Lavielle & Moulines 2000). Outliers are drawn in first.

    How high a step is, is estimated from the untouched values of at most 30 runs on either side: Hodges-Lehmann,
    with the exact rank-sum interval. Where it lies, see ``_reach``.
    """
    if len(values) < MIN_RUNS or noise.deviation == 0:
        return []
    smooth = calmed(values, noise)
    penalty = PENALTY * math.log(len(values)) * noise.long_run
    found = KernelCPD(kernel="linear", min_size=AFTER).fit(smooth[:, None]).predict(pen=penalty)
    places = _settled(values, _high_enough(smooth, [0, *map(int, found)], threshold))
    made = []
    for begin, place, end in zip(places, places[1:], places[2:], strict=False):
        before, after = values[max(begin, place - NEAR) : place], values[place : min(end, place + NEAR)]
        height = shift(after.tolist(), before.tolist())
        made.append(Step(place, height, _reach(height.point, noise, min(place - begin, end - place))))
    return [one for one in made if abs(one.height.point) >= threshold]


def _high_enough(values: Numbers, places: list[int], threshold: float) -> list[int]:
    """Without the steps below the threshold: the lowest is given up, then the lowest of what is left."""
    kept = list(places)
    levels = [float(np.median(values[a:b])) for a, b in itertools.pairwise(kept)]
    while len(levels) > 1:
        heights = [abs(b - a) for a, b in itertools.pairwise(levels)]
        lowest = min(range(len(heights)), key=heights.__getitem__)
        if heights[lowest] >= threshold:
            break
        del kept[lowest + 1]
        levels[lowest : lowest + 2] = [float(np.median(values[kept[lowest] : kept[lowest + 1]]))]
    return kept


def _settled(values: Numbers, places: list[int]) -> list[int]:
    """The change points where the untouched values turn from the one level to the other.

    Drawing in the outliers moves a value beside a step to the wrong level where an outlier lies near; so each change
    point is moved, by half the window at most, to the least sum of absolute deviations, none larger than the step.
    """
    settled = list(places)
    for place in range(1, len(places) - 1):
        begin, at, end = places[place - 1 : place + 2]
        before, after = float(np.median(values[begin:at])), float(np.median(values[at:end]))
        most = len(values) - AFTER if end == len(values) else end - 1
        first, last = max(settled[place - 1] + 1, at - WINDOW // 2), min(most, at + WINDOW // 2)
        near = values[first:last]
        off = [np.minimum(np.abs(near - level), abs(after - before)) for level in (before, after)]
        costs = np.append(0.0, np.cumsum(off[0] - off[1]))
        settled[place] = first + int(np.argmin(costs))
    return settled


def _reach(height: float, noise: Noise, most: int) -> int:
    """How many runs earlier or later a change point may lie, at 95 %: 11.03 × long-run variance / height².

    Bai (1997), "Estimation of a change point in multiple regression models", for a step with the same noise before
    and after it.
    """
    return min(math.floor(BAI * noise.long_run / height**2), most) if height else most
