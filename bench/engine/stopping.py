"""When to stop timing a family: an object with three verbs, start, add and finished.

It looks at the widths of intervals and at the clock, never at which side is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic

from bench.engine.estimate import MIN_PLACEMENTS

TARGET_HALF_WIDTH = 0.01
MAX_PLACEMENTS = 64


class Stopping:
    """Stop as soon as every interval is narrower than the target, or the time is used up.

    At least 8 placements are always taken: with fewer there is no 99 % interval.
    """

    def __init__(
        self,
        seconds: float,
        target: float = TARGET_HALF_WIDTH,
        least: int = MIN_PLACEMENTS,
        most: int = MAX_PLACEMENTS,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._seconds, self._target, self._least, self._most, self._now = seconds, target, least, most, now
        self._deadline = float("inf")
        self._placements = 0
        self._widest = float("inf")

    def start(self) -> None:
        """The first placement begins now."""
        self._deadline = self._now() + self._seconds

    def add(self, half_widths: Iterable[float]) -> None:
        """One more placement is done; the half-widths of all speed-ups so far (0.01 is ±1 %)."""
        self._placements += 1
        self._widest = max(half_widths, default=float("inf"))

    def finished(self) -> str | None:
        """Why to stop (``precise``, ``budget``, ``limit``), or None to go on."""
        if self._placements < self._least:
            return None
        if self._widest <= self._target:
            return "precise"
        if self._placements >= self._most:
            return "limit"
        if self._now() >= self._deadline:
            return "budget"
        return None
