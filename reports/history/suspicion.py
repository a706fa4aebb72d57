"""Finds a step that is too fresh, or in too short a series, to be a change point, but that noise hardly explains.

Such a step is *suspected*: it is shown as that, and becomes a change or disappears with the next runs. Change points
need ten runs, and three of them after a step (``changes``). The size of the noise comes mainly from all other series of
the machine, since a few runs hardly show their own. A latest run alone is no step; it is named if it lies farther off
than outliers do (``outlying``). Measured rates: see ``torchduet.reports.history.rates``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from torchduet.bench.record.statistics import CONFIDENCE, Interval
from torchduet.reports.history.changes import AFTER, MIN_RUNS, NORMAL, Noise, Step, whereabouts
from torchduet.reports.history.series import Numbers

MIN_SUSPECTED = 3  # runs of a series
BEFORE, SINCE = 2, 2  # the least number of runs before and after a suspected step: one run alone may be an outlier
APART = 0.5  # of the step's height: by so much the runs before and after must be apart, so that one outlier is no step
FALSE_ALARMS = 0.01  # the chance that any series of a machine is suspected although nothing changed
EFFICIENCY = 0.37  # of a median of absolute deviations, compared with a standard deviation, for normal values
MAX_DEGREES = 30.0  # that the other series count for: they are not all alike
MANY = 50  # series; in the median of more, one of them counts for nothing
STRAYING = 4.0  # deviations from the level that the usual noise explains
MAX_EARLIER = 100  # runs before the latest whose distances from their level show how far outliers lie
FALSE_HINTS = 0.029  # level at which a latest run is named; as the same runs judge, more histories name one (``rates``)
OWN_RUNS = 150  # of a series, which say as much on its outliers as all series together
TAIL = 2.0  # beyond the farthest run of all, the chance falls with this power of the distance: slowly
MIN_DIFFERENCES = 20  # of neighbouring runs, in all series together, that give their correlation
UNKNOWN_CORRELATION, MAX_CORRELATION = 0.25, 0.8


@dataclass(frozen=True)
class Others:
    """How much the other series of a machine vary from run to run.

    Attributes:
        deviation: of single values about their level (standard deviation of logs).
        correlation: of neighbouring values.
        degrees: of freedom that this estimate is worth; 0 without another series.
    """

    deviation: float
    correlation: float
    degrees: float


def others_of(series: Sequence[Numbers]) -> list[Others]:
    """For each series of finite logs, what all the others show.

    Medians of absolute differences of neighbours, which steps and outliers hardly affect; of neighbours but one for the
    correlation, as in ``changes.noise_of``.
    """
    near = [np.abs(np.diff(values)) for values in series]
    far = [np.abs(values[2:] - values[:-2]) for values in series]
    known = np.concatenate([*near, np.empty(0)])
    correlation = _correlation(np.concatenate([*far, np.empty(0)]), known)
    if len(series) > MANY:
        return [_others(known, correlation)] * len(series)
    owner = np.repeat(np.arange(len(near)), [len(values) for values in near])
    return [_others(known[owner != index], correlation) for index in range(len(series))]


def _others(differences: Numbers, correlation: float) -> Others:
    if not len(differences):
        return Others(0.0, correlation, 0.0)
    spread = NORMAL * float(np.median(differences)) / math.sqrt(2 * (1 - correlation))
    return Others(spread, correlation, min(EFFICIENCY * len(differences), MAX_DEGREES))


def _correlation(far: Numbers, near: Numbers) -> float:
    if len(near) < MIN_DIFFERENCES or not len(far) or not float(np.median(near)):
        return UNKNOWN_CORRELATION
    return min(max((float(np.median(far)) / float(np.median(near))) ** 2 - 1, 0.0), MAX_CORRELATION)


def suspected(values: Numbers, others: Others, asked: int, threshold: float, within: float = 0.0) -> Step | None:
    """The step that a series of finite logs has most probably made, if noise hardly explains it; else None.

    Student's t of the levels before and after, which must be apart: a single outlying run is no step. Its variance is
    that of the other series, moderated by the series' own (Smyth 2004, "Linear models and empirical Bayes methods"),
    times (1 + ρ) / (1 − ρ) as neighbouring runs are alike.
    The level is Bonferroni's: over the places that a step may have and all series of the machine.

    Args:
        values: since the last change point, in the order of time.
        asked: the number of series that are judged together.
        threshold: a step must exceed it (of the log).
        within: standard error of a single run's value, by that run alone: the least deviation.
    """
    places = _places(len(values))
    if not places:
        return None
    best = max(places, key=lambda place: abs(_difference(values, place)) / _spread(values, place, others, within)[0])
    height = _difference(values, best)
    error, degrees = _spread(values, best, others, within)
    chance = 2 * float(student.sf(abs(height) / error, degrees)) if degrees > 0 else 1.0
    if abs(height) < threshold or chance * len(places) * asked > FALSE_ALARMS:
        return None
    if _gap(values, best, height) < APART * abs(height):
        return None
    reach = error * float(student.ppf((1 + CONFIDENCE) / 2, degrees))
    deviation = error / math.sqrt(_alike(others) * (1 / best + 1 / (len(values) - best)))
    noise = Noise(deviation, others.correlation)
    return Step(best, Interval(height, height - reach, height + reach), *whereabouts(values, best, noise))


@dataclass(frozen=True)
class Latest:
    """By how much the latest run of a series lies beyond the usual noise about its level, and the runs before it did.

    Attributes:
        beyond, earlier: logs; 0 of a run within the noise.
        usual: how far the usual noise reaches, a log.
    """

    beyond: float
    earlier: Numbers
    usual: float


def strays(values: Numbers, others: Others, asked: int, threshold: float, within: float = 0.0) -> float:
    """How far the latest of few runs is from the level before it (a log); 0 where the usual noise explains that.

    Args:
        asked, within: as for ``suspected``.
    """
    if len(values) < MIN_SUSPECTED:
        return 0.0
    error, degrees = _spread(values, len(values) - 1, others, within)
    distance = _difference(values, len(values) - 1)
    chance = 2 * float(student.sf(abs(distance) / error, degrees)) if degrees > 0 else 1.0
    return distance if abs(distance) >= threshold and chance * asked <= FALSE_ALARMS else 0.0


def latest(values: Numbers, steps: Sequence[int], distance: float, deviation: float) -> Latest:
    """The latest run of a series beside those before it; each of these is compared with the others of its level.

    Args:
        values: the finite logs of the series, the latest run last.
        steps: where levels begin.
        distance: of the latest run from its level, a log; 0 where the usual noise or the pilots explain it.
        deviation: of single values about their level.
    """
    levels = np.split(values[:-1], list(steps))
    apart = np.concatenate([*(_from_others(level[-MAX_EARLIER:]) for level in levels), np.empty(0)])[-MAX_EARLIER:]
    usual = STRAYING * deviation
    return Latest(max(abs(distance) - usual, 0.0), np.maximum(apart - usual, 0.0), usual)


def outlying(series: Sequence[Latest], asked: int) -> list[bool]:
    """Which latest runs lie so far beyond the noise that outliers as they were before hardly explain it.

    The chance of such a run is the share of the series' own earlier runs that lay as far off, shrunk towards that of
    all series, as few runs hardly show how often their series has outliers (the mean of a beta distribution, whose
    prior is worth ``OWN_RUNS``). A series counts once among all, or one with many outliers would speak for the others.
    The level is Bonferroni's, over all series of the machine.
    """
    farthest = np.sort([one.earlier.max() for one in series if len(one.earlier)])
    runs = sum(len(one.earlier) for one in series)
    found = []
    for one in series:
        own = int((one.earlier >= one.beyond).sum())
        as_far = len(farthest) - int(np.searchsorted(farthest, one.beyond))
        among_all = (1 + as_far) / (1 + runs)
        if not as_far and one.beyond:
            among_all *= ((farthest.max(initial=0.0) + one.usual) / (one.beyond + one.usual)) ** TAIL
        chance = (own + OWN_RUNS * among_all) / (len(one.earlier) + OWN_RUNS)
        found.append(one.beyond > 0 and chance * asked <= FALSE_HINTS)
    return found


def _from_others(level: Numbers) -> Numbers:
    """How far each run of a level lies from the median of its others; empty with less than two."""
    runs = len(level)
    if runs < 2:
        return np.empty(0)
    others = np.broadcast_to(level, (runs, runs))[~np.eye(runs, dtype=bool)].reshape(runs, runs - 1)
    return np.abs(level - np.median(others, axis=1))


def _places(runs: int) -> range | list[int]:
    """Where a step may lie. In ten runs and more, only where change points cannot: closer to the end."""
    if runs < MIN_SUSPECTED:
        return []
    least = min(BEFORE, runs - SINCE)  # of three runs the first one is the level before
    return range(max(least, runs - AFTER + 1) if runs >= MIN_RUNS else least, runs - SINCE + 1)


def _difference(values: Numbers, place: int) -> float:
    return float(np.mean(values[place:]) - np.mean(values[:place]))


def _gap(values: Numbers, place: int, height: float) -> float:
    """The least difference between any run after and any run before, in the direction of the step."""
    up = values if height > 0 else -values
    return float(up[place:].min() - up[:place].max())


def _spread(values: Numbers, place: int, others: Others, within: float) -> tuple[float, float]:
    """The standard error of the difference of both levels, and its degrees of freedom."""
    own = sum(float(((side - side.mean()) ** 2).sum()) for side in (values[:place], values[place:]))
    degrees = others.degrees + len(values) - 2
    variance = max((others.degrees * others.deviation**2 + own) / degrees, within**2) if degrees else within**2
    return math.sqrt(max(variance, 1e-18) * _alike(others) * (1 / place + 1 / (len(values) - place))), degrees


def _alike(others: Others) -> float:
    """How many times the variance of a mean is that of independent runs."""
    return (1 + others.correlation) / (1 - others.correlation)
