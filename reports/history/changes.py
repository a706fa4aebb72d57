"""Finds the change points of one series of logs, one value per run.

A series is modelled as constant but for steps, with noise. The size of the noise and its correlation from run to run
are estimated from the series itself. Measured false-alarm and detection rates: see ``torchduet.reports.history.rates``.
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
from torchduet.reports.history.series import Numbers
from torchduet.reports.shifts.two_sample import shift

MIN_RUNS = 10  # of a series in which change points are searched: fewer do not give the noise
AFTER = 3  # the least number of runs of a level
PENALTY = 3.0  # times log n times the long-run variance
WINDOW, OUTLYING = 9, 2.0  # runs of the running median that detects outliers; deviations from it that make one
MAX_CORRELATED = 0.9
PRIOR_RUNS = 50
NEAR = 30  # runs on either side of a step that estimate its height
BAI = 11.03  # 97.5 % quantile of the position of the maximum of two-sided Brownian motion with drift −|t|/2
NORMAL = 1.4826  # standard deviations in a normal distribution's median absolute deviation


@dataclass(frozen=True)
class Noise:
    """The variation of a series about its levels.

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
    """A step from one level to the next.

    Attributes:
        index: of the first value after it.
        height: level after − level before, with its 99 % interval; infinite with too few runs.
        reach: how many values earlier or later the step may lie (95 %).
    """

    index: int
    height: Interval
    reach: int


def noise_of(values: Numbers) -> Noise:
    """Deviation and correlation by medians of absolute differences, which steps and outliers hardly affect.

    For a first-order autoregressive series, Var(x[t+2] − x[t]) / Var(x[t+1] − x[t]) = 1 + ρ (Chakar, Lebarbier,
    Lévy-Leduc & Robin 2017, "A robust approach for estimating change-points in the mean of an AR(1) process").
    """
    lag_1, lag_2 = (NORMAL * float(np.median(np.abs(values[lag:] - values[:-lag]))) for lag in (1, 2))
    correlation = min(max((lag_2 / lag_1) ** 2 - 1, 0.0), MAX_CORRELATED) if lag_1 else 0.0
    return Noise(lag_1 / math.sqrt(2 * (1 - correlation)), correlation)


def pooled(noises: Sequence[Noise]) -> Noise:
    """The common noise of one machine's series: the median deviation and correlation."""
    return Noise(median(noise.deviation for noise in noises), median(noise.correlation for noise in noises))


def shrunk(own: Noise, runs: int, common: Noise) -> Noise:
    """A series' own noise, shrunk towards the common noise where its runs are few.

    The correlation is averaged with the common one, which weighs as much as 50 runs: 20 values hardly give a
    correlation. The deviation is at least half the common one: if it came out small by chance, any difference would
    become a step.
    """
    weight = runs / (runs + PRIOR_RUNS)
    correlation = weight * own.correlation + (1 - weight) * common.correlation
    # The deviation of differences is the well-known figure; that of values follows from it and the correlation.
    deviation = own.deviation * math.sqrt((1 - own.correlation) / (1 - correlation))
    return Noise(max(deviation, common.deviation / 2), correlation)


def clipped(values: Numbers, noise: Noise) -> Numbers:
    """The series with outliers clipped to two deviations about a running median of nine (Hampel's filter).

    With squared deviations, a disturbed run would become a change point. The filter makes a level visible only if it
    lasts five runs, or three at the end of the series, where the series is mirrored.
    """
    middle = median_filter(values, WINDOW, mode="reflect")
    return np.clip(values, middle - OUTLYING * noise.deviation, middle + OUTLYING * noise.deviation)


def steps(values: Numbers, noise: Noise, threshold: float) -> list[Step]:
    """The steps of a series of finite logs that exceed a threshold (of the log), in the order of time.

    Least squares with a penalty per change point, minimised exactly by PELT (Killick, Fearnhead & Eckley 2012,
    "Optimal detection of changepoints with a linear computational cost"), in the implementation of the library
    ruptures (Truong, Oudre & Vayatis 2020). The penalty is 3 log n times the long-run variance: log n as in Yao
    (1988), "Estimating the number of change-points via Schwarz' criterion", and the long-run variance because
    neighbouring runs are alike (Lavielle & Moulines 2000). Outliers are clipped first.

    A step's height is estimated from the original values of at most 30 runs on either side: Hodges-Lehmann, with the
    exact rank-sum interval. For its position, see ``_reach``.
    """
    if len(values) < MIN_RUNS or noise.deviation == 0:
        return []
    smooth = clipped(values, noise)
    penalty = PENALTY * math.log(len(values)) * noise.long_run
    ends = KernelCPD(kernel="linear", min_size=AFTER).fit(smooth[:, None]).predict(pen=penalty)
    points = _moved_to_levels(values, _high_enough(smooth, [0, *map(int, ends)], threshold))
    candidates = []
    for begin, point, end in zip(points, points[1:], points[2:], strict=False):
        before, after = values[max(begin, point - NEAR) : point], values[point : min(end, point + NEAR)]
        height = shift(after.tolist(), before.tolist())
        candidates.append(Step(point, height, _reach(height.point, noise, min(point - begin, end - point))))
    return [step for step in candidates if abs(step.height.point) >= threshold]


def _high_enough(values: Numbers, points: list[int], threshold: float) -> list[int]:
    """The change points without the steps below the threshold, which are removed one by one, the lowest first."""
    kept = list(points)
    levels = [float(np.median(values[a:b])) for a, b in itertools.pairwise(kept)]
    while len(levels) > 1:
        heights = [abs(b - a) for a, b in itertools.pairwise(levels)]
        lowest = min(range(len(heights)), key=heights.__getitem__)
        if heights[lowest] >= threshold:
            break
        del kept[lowest + 1]
        levels[lowest : lowest + 2] = [float(np.median(values[kept[lowest] : kept[lowest + 1]]))]
    return kept


def _moved_to_levels(values: Numbers, points: list[int]) -> list[int]:
    """The change points, moved to where the original values turn from one level to the other.

    Clipping an outlier can move a value beside a step to the wrong level. So each change point is moved, by half the
    window at most, to the least sum of absolute deviations, each limited to the height of the step.
    """
    moved = list(points)
    for index in range(1, len(points) - 1):
        begin, at, end = points[index - 1 : index + 2]
        before, after = float(np.median(values[begin:at])), float(np.median(values[at:end]))
        most = len(values) - AFTER if end == len(values) else end - 1
        first, last = max(moved[index - 1] + 1, at - WINDOW // 2), min(most, at + WINDOW // 2)
        near = values[first:last]
        deviations = [np.minimum(np.abs(near - level), abs(after - before)) for level in (before, after)]
        costs = np.append(0.0, np.cumsum(deviations[0] - deviations[1]))
        moved[index] = first + int(np.argmin(costs))
    return moved


def _reach(height: float, noise: Noise, most: int) -> int:
    """How many runs earlier or later a change point may lie, at 95 %: 11.03 × long-run variance / height².

    Bai (1997), "Estimation of a change point in multiple regression models", for equal noise before and after the
    step.
    """
    return min(math.floor(BAI * noise.long_run / height**2), most) if height else most
