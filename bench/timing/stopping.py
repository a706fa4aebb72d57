"""The stopping rule: decides after each placement whether a family has been timed enough.

It depends on the widths of intervals, the sizes of effects and the clock, never on which side is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torchduet.bench.host.suspension import awake
from torchduet.bench.record.schema import StopReason
from torchduet.bench.record.statistics import MIN_PLACEMENTS

TARGET_HALF_WIDTH = 0.01
LARGE_EFFECT_HALF_WIDTH = 0.02
SHARE_OF_EFFECT = 0.1
MAX_PLACEMENTS = 128
INTERRUPTED: StopReason = "interrupted"
OVERDRAWN = 2.0  # shares of time beyond the first


def wanted(effect: float, target: float = TARGET_HALF_WIDTH) -> float:
    """The half-width that is narrow enough for an effect (both of log ratios).

    A tenth of the effect, between ±1 % and ±2 %. The difference between 8.0 and 8.1 times as fast decides nothing; the
    time is better spent where the verdict is open.
    """
    return max(target, min(LARGE_EFFECT_HALF_WIDTH, SHARE_OF_EFFECT * abs(effect)))


class Stopping:
    """Stop as soon as every interval is narrow enough for its effect, or the time is used up.

    At least 8 placements are taken, as fewer give no 99 % interval. Exceptions: the calls have become so slow that
    three times the time is used up, or a stop was requested.

    Args:
        seconds: the time for all placements.
        target: half-width of the interval of a small effect, on the log scale.
        min_placements: not counting the exceptions above.
        max_placements: stop after these even if an interval is wide.
        now: the clock, in seconds.
        stop_requested: whether the run is to end early.
    """

    def __init__(
        self,
        seconds: float,
        target: float = TARGET_HALF_WIDTH,
        min_placements: int = MIN_PLACEMENTS,
        max_placements: int = MAX_PLACEMENTS,
        now: Callable[[], float] = awake,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stop_requested = stop_requested
        self._seconds, self._target, self._min_placements, self._max_placements, self._now = (
            seconds,
            target,
            min_placements,
            max_placements,
            now,
        )
        self._begun, self._deadline = 0.0, float("inf")
        self._placements = 0
        self._precise = False

    def start(self) -> None:
        """Start the clock: the first placement begins now."""
        self._begun = self._now()
        self._deadline = self._begun + self._seconds

    def add(self, estimates: Iterable[tuple[float, float]], placements: int = 1) -> None:
        """Take note of more placements, and of (half-width, effect) of every comparison, on the log scale."""
        self._placements += placements
        self._precise = all(width <= wanted(effect, self._target) for width, effect in estimates)

    def must_end(self) -> bool:
        """Whether not even another placement may begin."""
        return self._stop_requested() or self._overdrawn()

    def room_for(self, placements: int) -> int:
        """How many of ``placements`` to take before applying the rule again: those that the time allows, at least 1."""
        if not self._placements:
            return placements
        now = self._now()
        taken = (now - self._begun) / self._placements
        fitting = int(max(0.0, self._deadline - now) / max(taken, 1e-9))
        return max(1, min(placements, max(fitting, self._min_placements - self._placements)))

    def _overdrawn(self) -> bool:
        return self._now() >= self._deadline + OVERDRAWN * self._seconds

    def finished(self) -> StopReason | None:
        """The reason to stop (``precise``, ``budget``, ``limit``, ``interrupted``), or None to continue."""
        if self._stop_requested():
            return INTERRUPTED
        if self._overdrawn():
            return "budget"
        if self._placements < self._min_placements:
            return None
        if self._precise:
            return "precise"
        if self._placements >= self._max_placements:
            return "limit"
        if self._now() >= self._deadline:
            return "budget"
        return None
