"""Finds the change points of one series of logs, one value per run.

A series is modelled as constant but for steps, with noise. The size of the noise and its correlation from run to run
are estimated from the series itself. Measured rates: ``torchduet.reports.history.rates``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

import numpy as np
from ruptures.detection.kernelcpd import KernelCPD
from scipy.ndimage import median_filter

from torchduet.bench.record.statistics import Interval
from torchduet.reports.history.series import Numbers
from torchduet.reports.shifts.two_sample import shift

MIN_RUNS = 10  # of a series in which change points are searched: fewer do not give the noise
AFTER = 3  # the least number of runs of a level
PENALTY = 5.0  # times log n times the long-run variance
KEPT_PENALTY = 2.0  # for a step that was found when there were fewer runs: Yao's own
SHIFTED = 2  # runs that such a step may have lain off
WINDOW, OUTLYING = 9, 2.0  # runs of the running median that detects outliers; deviations from it that make one
MAX_CORRELATED, MIN_CORRELATED = 0.9, -0.45
TRIMMED, TRIMMED_VARIANCE = 0.75, 0.3684  # the least squares that give a variance; their mean for a variance of 1
PRIOR_RUNS = 75  # that the common correlation weighs as much as
NEAR = 30  # runs on either side of a step that estimate its height
OUTLIER = 4.0  # standard deviations beyond which a run says nothing more on the place of a step
BETWEEN, STILL_BETWEEN = 3.0, 2.0  # deviations from both levels that place a run between; each of several such runs
LEAST_NOISE = 1e-4  # of a step: values that do not vary at all would make every difference one
LOCATED, MAX_DATED = 0.95, 0.5  # the chance that a step lies among the runs given; correlation by which it is dated
NORMAL = 1.4826  # standard deviations in a normal distribution's median absolute deviation


@dataclass(frozen=True)
class Noise:
    """The variation of a series about its levels.

    Attributes:
        deviation: of single values about their level (standard deviation of logs).
        correlation: of neighbouring values; of a series alone it may be negative by chance, which counts as 0.
    """

    deviation: float
    correlation: float

    @property
    def long_run(self) -> float:
        """The long-run variance: n times the variance of the mean of n values, for large n."""
        correlation = max(self.correlation, 0.0)
        return self.deviation**2 * (1 + correlation) / (1 - correlation)


@dataclass(frozen=True)
class Step:
    """A step from one level to the next.

    Attributes:
        index: of the first value after it.
        height: level after − level before, with its 99 % interval; infinite with too few runs.
        earlier, later: how many values earlier and later the step may lie (95 %).
        gradual: whether values of that range lie between both levels, so that not one run made it alone.
    """

    index: int
    height: Interval
    earlier: int = 0
    later: int = 0
    gradual: bool = False

    @property
    def reach(self) -> int:
        """How many values earlier or later it may lie."""
        return max(self.earlier, self.later)


def noise_of(values: Numbers) -> Noise:
    """Deviation and correlation by the smaller differences of runs, which steps and outliers hardly affect.

    For a first-order autoregressive series, Var(x[t+2] − x[t]) / Var(x[t+1] − x[t]) = 1 + ρ (Chakar, Lebarbier,
    Lévy-Leduc & Robin 2017, "A robust approach for estimating change-points in the mean of an AR(1) process").
    """
    lag_1, lag_2 = (_deviation(values[lag:] - values[:-lag]) for lag in (1, 2))
    correlation = min(max((lag_2 / lag_1) ** 2 - 1, MIN_CORRELATED), MAX_CORRELATED) if lag_1 else 0.0
    return Noise(lag_1 / math.sqrt(2 * (1 - max(correlation, 0.0))), correlation)


def _deviation(differences: Numbers) -> float:
    """The standard deviation of normal differences by the smaller three quarters of them."""
    share = TRIMMED * len(differences)
    # The last square counts in part: a rounded number would differ from lag to lag, and with it the correlation.
    weights = np.clip(share - np.arange(len(differences)), 0.0, 1.0)
    return math.sqrt(float(weights @ np.sort(differences**2)) / share / TRIMMED_VARIANCE)


def pooled(noises: Sequence[Noise]) -> Noise:
    """The common noise of one machine's series: the middle of their deviations and of their correlations."""
    correlation = math.expm1(mean(math.log1p(noise.correlation) for noise in noises))
    return Noise(median(noise.deviation for noise in noises), correlation)


def shrunk(own: Noise, runs: int, common: Noise) -> Noise:
    """A series' own noise, shrunk towards the common noise where its runs are few.

    The correlation is averaged with the common one, which weighs as much as 75 runs: 20 values hardly give a
    correlation. The deviation is at least half the common one: if it came out small by chance, any difference would
    become a step.
    """
    weight = runs / (runs + PRIOR_RUNS)
    correlation = max(weight * own.correlation + (1 - weight) * common.correlation, 0.0)
    # The deviation of differences is the well-known figure; that of values follows from it and the correlation.
    deviation = own.deviation * math.sqrt((1 - max(own.correlation, 0.0)) / (1 - correlation))
    return Noise(max(deviation, common.deviation / 2), correlation)


def clipped(values: Numbers, noise: Noise) -> Numbers:
    """The series with outliers clipped to two deviations about a running median of nine (Hampel's filter).

    With squared deviations, a disturbed run would become a change point. The filter makes a level visible only if it
    lasts five runs, or three at the end of the series, where the series is mirrored.
    """
    middle = median_filter(values, WINDOW, mode="reflect")
    return np.clip(values, middle - OUTLYING * noise.deviation, middle + OUTLYING * noise.deviation)


def steps(values: Numbers, noise: Noise, threshold: float, earlier: Callable[[int], Noise] | None = None) -> list[Step]:
    """The steps of a series of finite logs that exceed a threshold (of the log), in the order of time.

    Least squares with a penalty per change point, minimised exactly by PELT (Killick, Fearnhead & Eckley 2012,
    "Optimal detection of changepoints with a linear computational cost"), in the implementation of the library
    ruptures (Truong, Oudre & Vayatis 2020). The penalty is 5 log n times the long-run variance: log n as in Yao
    (1988), "Estimating the number of change-points via Schwarz' criterion", and the long-run variance because
    neighbouring runs are alike (Lavielle & Moulines 2000). Outliers are clipped first. A step that was found when there
    were fewer runs is kept while it is one by a penalty of 2 log n, so that it does not come and go with the estimate
    of the noise.

    A step's height is estimated from the original values of at most 30 runs on either side: Hodges-Lehmann, with the
    exact rank-sum interval. For its position, see ``whereabouts``. A step that has fewer than three runs after it by
    its position is left to ``suspicion``.

    Args:
        earlier: number of runs → the noise as it was estimated from so many; None: no step is kept.
    """
    if len(values) < MIN_RUNS:
        return []
    noise = _at_least(noise)
    smooth = clipped(values, noise)
    search = KernelCPD(kernel="linear", min_size=AFTER).fit(smooth[:, None])
    unit = math.log(len(values)) * noise.long_run
    ends = [int(end) for end in search.predict(pen=PENALTY * unit)]
    if earlier is not None:
        ends = _with_kept(values, ends, [int(end) for end in search.predict(pen=KEPT_PENALTY * unit)], earlier)
    points = _moved_to_levels(values, _high_enough(smooth, [0, *ends], threshold))
    points = _without_slopes(values, points, noise.deviation)
    candidates = []
    for begin, point, end in zip(points, points[1:], points[2:], strict=False):
        before, after = values[max(begin, point - NEAR) : point], values[point : min(end, point + NEAR)]
        height = shift(after.tolist(), before.tolist())
        candidates.append(Step(point, height, *whereabouts(values[begin:end], point - begin, noise)))
    return [step for step in candidates if abs(step.height.point) >= threshold and step.index <= len(values) - AFTER]


def _at_least(noise: Noise) -> Noise:
    return replace(noise, deviation=max(noise.deviation, LEAST_NOISE))


def _with_kept(values: Numbers, found: list[int], less_strict: list[int], earlier: Callable[[int], Noise]) -> list[int]:
    """The ends of levels that are found, and those that were found when there were fewer runs, and nearly are now."""
    kept = list(found)
    for point in less_strict[:-1]:
        if all(abs(point - other) > WINDOW // 2 for other in found[:-1]) and _was_found(values, point, found, earlier):
            kept.append(point)
    return sorted(kept)


def _was_found(values: Numbers, point: int, found: list[int], earlier: Callable[[int], Noise]) -> bool:
    begin = max((other for other in found if other < point), default=0)
    end = min(other for other in found if other > point)
    for runs in range(max(point + AFTER, MIN_RUNS), min(end, point + NEAR) + 1):
        noise = _at_least(earlier(runs))
        smooth = clipped(values[:runs], noise)[begin:]
        strict = PENALTY * math.log(runs) * noise.long_run
        places = range(max(point - SHIFTED, begin + AFTER), min(point + SHIFTED, runs - AFTER) + 1)
        if any(_gain(smooth, place - begin) > strict for place in places):
            return True
    return False


def _gain(values: Numbers, place: int) -> float:
    """By how much the sum of squared deviations falls if a series is two levels, not one."""
    before, after = values[:place], values[place:]
    return float(after.mean() - before.mean()) ** 2 * len(before) * len(after) / len(values)


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
        most = end - 1
        first, last = max(moved[index - 1] + 1, at - WINDOW // 2), min(most, at + WINDOW // 2)
        near = values[first:last]
        deviations = [np.minimum(np.abs(near - level), abs(after - before)) for level in (before, after)]
        costs = np.append(0.0, np.cumsum(deviations[0] - deviations[1]))
        moved[index] = first + int(np.argmin(costs))
    return moved


def _without_slopes(values: Numbers, points: list[int], deviation: float) -> list[int]:
    """The change points without the second one of a level of two runs that differ: they lie on a slope."""
    kept = list(points)
    for end in points[2:-1]:
        at = kept.index(end)
        begin = kept[at - 1]
        first, middle, last = (float(np.median(values[a:b])) for a, b in itertools.pairwise(kept[at - 2 : at + 2]))
        differ = end - begin < AFTER and float(np.ptp(values[begin:end])) > BETWEEN * math.sqrt(2) * deviation
        if differ and (middle - first) * (last - middle) > 0:
            del kept[at]
    return kept if kept == points else _moved_to_levels(values, kept)


def whereabouts(values: Numbers, place: int, noise: Noise) -> tuple[int, int, bool]:
    """How many values earlier and later a step may lie, and whether it is gradual.

    A step is gradual if values beside it lie between both levels: then it was made in all of that range, however long.
    """
    # Ten runs hardly give a correlation: one that came out high by chance would make the run of any step doubtful.
    correlation = min(max(noise.correlation, 0.0), MAX_DATED)
    deviation = noise.deviation * math.sqrt((1 - max(noise.correlation, 0.0)) / (1 - correlation))  # as in `shrunk`
    earlier, later = _located(values, place, Noise(deviation, correlation).long_run)
    first, last = _between(values, place, noise.deviation)
    return max(earlier, place - first), max(later, last - place), first < last


def _between(values: Numbers, place: int, deviation: float) -> tuple[int, int]:
    """The first value that is no longer of the level before a step, and the first one of the level after it.

    They are the same unless at least one value lies between both levels by more than its noise explains.
    """
    before, after = float(np.median(values[:place])), float(np.median(values[place:]))
    least = deviation * math.sqrt(1 + 1 / min(place, len(values) - place))
    up = 1.0 if after > before else -1.0
    margins = np.minimum(up * (values - before), up * (after - values)) / least if least else np.zeros(len(values))
    first = last = place
    while first > 1 and margins[first - 1] > STILL_BETWEEN:
        first -= 1
    while last < len(values) - 1 and margins[last] > STILL_BETWEEN:
        last += 1
    enough = last - first > 1 or bool((margins[first:last] > BETWEEN).any())
    return (first, last) if enough else (place, place)


def _located(values: Numbers, place: int, long_run: float) -> tuple[int, int]:
    """How many values earlier and later a step may lie, at 95 %, by half the window at most.

    The places as likely as the values make them, with the same chance before: exp(−S / 2 v) by the sum S of squared
    deviations from the two levels, and v the long-run variance, with that of the level of the shorter side. A deviation
    counts as the height of the step or as an outlier's at most: a run that is far from both levels is of neither.

    Args:
        values: from the step before to the step after.
        place: of the first value after the step.
    """
    before, after = float(np.median(values[:place])), float(np.median(values[place:]))
    variance = long_run * (1 + 1 / min(place, len(values) - place))
    if not variance:
        return 0, 0
    first, last = max(1, place - WINDOW // 2), min(len(values) - 1, place + WINDOW // 2)
    near, most = values[first:last], min((after - before) ** 2, OUTLIER**2 * variance)
    squares = [np.minimum((near - level) ** 2, most) for level in (before, after)]
    costs = np.append(0.0, np.cumsum(squares[0] - squares[1])) / (2 * variance)
    chances = np.exp(costs.min() - costs)
    order = np.argsort(-chances, kind="stable")
    enough = int(np.searchsorted(np.cumsum(chances[order]), LOCATED * chances.sum())) + 1
    likely = first + order[:enough]
    return max(place - int(likely.min()), 0), max(int(likely.max()) - place, 0)
