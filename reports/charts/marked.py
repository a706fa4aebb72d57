"""Positions on a logarithmic axis in per cent of its length, for charts that the style sheet draws."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Marked:
    """A value on an axis with its interval, in per cent of the axis; None without an interval."""

    at: float
    low: float | None
    high: float | None


def share(value: float, low: float, high: float) -> float:
    """The position on a logarithmic axis in per cent, within it."""
    if value <= 0:
        return 0.0
    return min(100.0, max(0.0, 100 * math.log(value / low) / math.log(high / low)))


def marked(ratio: float, least: float | None, most: float | None, low: float, high: float) -> Marked:
    """A ratio and its interval on the axis from ``low`` to ``high``."""
    ends = (None if end is None else share(end, low, high) for end in (least, most))
    return Marked(share(ratio, low, high), *ends)
