"""Detects creep: a slope of a series since its last step that noise does not explain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.history.changes import MIN_RUNS, Noise
from torchduet.reports.history.series import Numbers

MAX_RUNS = 60


@dataclass(frozen=True)
class Creep:
    """The change of a series over its latest runs, log(end / begin), with its interval."""

    runs: int
    total: float
    low: float
    high: float


def creep(values: Numbers, noise: Noise, threshold: float) -> Creep | None:
    """The creep of the latest runs, at most 60; None unless it is significant and exceeds the threshold (a log).

    The median of the slopes between all pairs of runs with its 99 % interval (Theil 1950; Sen 1968), widened by
    √((1 + ρ) / (1 − ρ)) because neighbouring runs are alike.
    """
    latest = values[-MAX_RUNS:]
    if len(latest) < MIN_RUNS:
        return None
    slope, _, low, high = theilslopes(latest, alpha=CONFIDENCE)
    span = len(latest) - 1
    wider = math.sqrt((1 + noise.correlation) / (1 - noise.correlation))
    total, least, most = (span * (slope + wider * (estimate - slope)) for estimate in (slope, low, high))
    if least * most <= 0 or abs(total) < threshold or not np.isfinite(total):
        return None
    return Creep(len(latest), float(total), float(least), float(most))
