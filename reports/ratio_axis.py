"""The logarithmic axis of speed-ups: from where to where, and which round values are named on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

LABEL_POINTS = 36.0  # room for ``0.002×``
NEAR = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0)
FAR = tuple(float(f"{step}e{power}") for power in range(-12, 13) for step in (1, 2, 3, 5, 7))
ROUND = tuple(sorted({*NEAR, *(one for one in FAR if not 0.5 < one < 2)}))


class Ratio(Protocol):
    """What the axis has to know of a mark."""

    @property
    def ratio(self) -> float:
        """Where it stands."""

    @property
    def low(self) -> float | None:
        """Its interval, if it has one."""

    @property
    def high(self) -> float | None:
        """Its interval, if it has one."""


def limits(marks: Sequence[Ratio], points: float) -> tuple[float, float]:
    """Every mark between two named ticks, and its interval as far as twice the marks' own reach; at least ±5 %.

    Args:
        points: how long the axis is drawn.
    """
    least, most = _reach(marks)
    low = min(0.95, *(max(mark.low or least, least / 2) for mark in marks), least)
    high = max(1.05, *(min(mark.high or most, most * 2) for mark in marks), most)
    first, last = _ends(marks, points)
    low, high = min(low, first), max(high, last)
    margin = (high / low) ** 0.03
    return low / margin, high * margin


def ticks(marks: Sequence[Ratio], low: float, high: float, points: float) -> list[float]:
    """Round values with room for their labels: 1, then those around the marks, then what fits between."""
    room = math.log(high / low) * LABEL_POINTS / points
    first, last = _ends(marks, points)
    wanted = [
        1.0,
        first,
        last,
        *sorted((one for one in ROUND if low <= one <= high), key=lambda one: abs(math.log(one))),
    ]
    kept: list[float] = []
    for tick in wanted:
        if all(abs(math.log(tick / other)) >= room for other in kept):
            kept.append(tick)
    return sorted(kept)


def _reach(marks: Sequence[Ratio]) -> tuple[float, float]:
    return min(mark.ratio for mark in marks), max(mark.ratio for mark in marks)


def _ends(marks: Sequence[Ratio], points: float) -> tuple[float, float]:
    """The ticks next to the outermost marks, on their outer side, far enough from 1 to be named beside it."""
    least, most = _reach(marks)
    first, last = min(least, 0.95), max(most, 1.05)
    for _ in range(3):  # each end's room depends on the other's
        first = _outside([one for one in reversed(ROUND) if one <= least], last, points, first)
        last = _outside([one for one in ROUND if one >= most], first, points, last)
    return first, last


def _outside(candidates: Sequence[float], other: float, points: float, otherwise: float) -> float:
    for tick in candidates:
        room = 1.3 * abs(math.log(tick / other)) * LABEL_POINTS / points
        if tick == 1 or abs(math.log(tick)) >= room:
            return tick
    return otherwise
