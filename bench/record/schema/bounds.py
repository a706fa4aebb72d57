"""Bounds of numbers and lengths of lists, as annotations of a record's fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

MIN = 1e-30  # and its inverse: no time, rate or ratio lies beyond
MAX_PLACEMENTS = 512  # four times the limit of a run; the time to compare two cases grows with the product of theirs


@dataclass(frozen=True)
class Range:
    """A number from ``low`` to ``high``, or between the two; ``high`` None: any from ``low``."""

    low: float
    high: float | None = None
    ends: bool = True  # whether both ends are included


@dataclass(frozen=True)
class Length:
    """A list of at least one and at most so many (None: any number) of something."""

    of: str
    most: int | None = None


Positive = Annotated[float, Range(MIN, 1 / MIN)]
Level = Annotated[float, Range(0, 1, ends=False)]  # of confidence
Count = Annotated[int, Range(0)]
Amount = Annotated[float, Range(0)]
Blocks = Annotated[list[Annotated[list[Positive], Length("block")]], Length("placement", MAX_PLACEMENTS)]
