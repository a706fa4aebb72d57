"""Limits and ticks of the logarithmic axis of speed-ups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

LABEL_POINTS = 36.0  # room for ``0.002×``
NEAR = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0)
FAR = tuple(float(f"{step}e{power}") for power in range(-12, 13) for step in (1, 2, 3, 5, 7))
ROUNDS = 8
MARGIN = 0.03  # of the axis, on either side
ROUND = tuple(sorted({*NEAR, *(tick for tick in FAR if not 0.5 < tick < 2)}))


class Ratio(Protocol):
    """What the axis needs of a mark: its ratio and its interval."""

    @property
    def ratio(self) -> float:
        """The position of the mark."""

    @property
    def low(self) -> float | None:
        """Lower end of its interval; None without one."""

    @property
    def high(self) -> float | None:
        """Upper end of its interval; None without one."""


def axis(marks: Sequence[Ratio], points: float) -> tuple[float, float, list[float]]:
    """The lower limit, the upper limit and the ticks.

    Every mark lies between two labelled ticks. An interval extends the axis to at most half the smallest and twice the
    largest ratio. The axis spans at least -5 % to +5 %.

    Args:
        points: drawn length of the axis.
    """
    least, most = min(mark.ratio for mark in marks), max(mark.ratio for mark in marks)
    low = min(0.95, *(max(mark.low or least, least / 2) for mark in marks), least)
    high = max(1.05, *(min(mark.high or most, most * 2) for mark in marks), most)
    first, last = low, high
    for _ in range(ROUNDS):  # a tick outside the limits widens the axis, so that labels need more of it: iterate
        room = _span(min(low, first), max(high, last)) * LABEL_POINTS / points
        first = next((tick for tick in reversed(ROUND) if tick <= least and _apart(1 / tick, room)), ROUND[0])
        last = next((tick for tick in ROUND if tick >= most and _apart(tick, room)), ROUND[-1])
    low, high = min(low, first), max(high, last)
    between = sorted((tick for tick in ROUND if low <= tick <= high), key=lambda tick: abs(math.log(tick)))
    kept: list[float] = []
    for tick in (1.0, first, last, *between):
        if all(abs(math.log(tick / other)) >= 0.999 * room for other in kept):
            kept.append(tick)
    margin = (high / low) ** MARGIN
    return low / margin, high * margin, sorted(kept)


def _span(low: float, high: float) -> float:
    return math.log(high / low) * (1 + 2 * MARGIN)


def _apart(times: float, room: float) -> bool:
    """Whether a tick so many times beyond 1 is 1 itself, or far enough from 1 for both labels."""
    return times == 1 or math.log(times) >= room
