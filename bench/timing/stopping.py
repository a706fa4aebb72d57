"""When to stop timing a family: an object that is told of the placements, and asked whether to go on.

It looks at the widths of intervals, at the size of effects and at the clock, never at which side is
faster.
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
OVERDRAWN = 2.0  # shares beyond the first


def wanted(effect: float, target: float = TARGET_HALF_WIDTH) -> float:
    """The half-width that is narrow enough for an effect (both of log ratios).

    A tenth of the effect, between ±1 % and ±2 %: whether something is 8.0 or 8.1 times as fast settles
    nothing, and the time is better spent where the verdict is open.
    """
    return max(target, min(LARGE_EFFECT_HALF_WIDTH, SHARE_OF_EFFECT * abs(effect)))


class Stopping:
    """Stop as soon as every interval is narrow enough for its effect, or the time is used up.

    At least 8 placements are taken, as with fewer there is no 99 % interval; unless calls have become
    so slow that the time is overdrawn three times, or the run is to end.
    """

    def __init__(
        self,
        seconds: float,
        target: float = TARGET_HALF_WIDTH,
        least: int = MIN_PLACEMENTS,
        most: int = MAX_PLACEMENTS,
        now: Callable[[], float] = awake,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._asked = asked
        self._seconds, self._target, self._least, self._most, self._now = seconds, target, least, most, now
        self._begun, self._deadline = 0.0, float("inf")
        self._placements = 0
        self._precise = False

    def start(self) -> None:
        """The first placement begins now."""
        self._begun = self._now()
        self._deadline = self._begun + self._seconds

    def add(self, estimates: Iterable[tuple[float, float]], placements: int = 1) -> None:
        """So many more placements are done: (half-width, effect) of every comparison, on the log scale."""
        self._placements += placements
        self._precise = all(width <= wanted(effect, self._target) for width, effect in estimates)

    def must_end(self) -> bool:
        """Whether not even the next placement is to be begun."""
        return self._asked() or self._overdrawn()

    def room_for(self, placements: int) -> int:
        """How many of so many more placements to take before looking again: what there is time for, at least 1."""
        if not self._placements:
            return placements
        now = self._now()
        taken = (now - self._begun) / self._placements
        fitting = int(max(0.0, self._deadline - now) / max(taken, 1e-9))
        return max(1, min(placements, max(fitting, self._least - self._placements)))

    def _overdrawn(self) -> bool:
        return self._now() >= self._deadline + OVERDRAWN * self._seconds

    def finished(self) -> StopReason | None:
        """Why to stop (``precise``, ``budget``, ``limit``, ``interrupted``), or None to go on."""
        if self._asked():
            return INTERRUPTED
        if self._overdrawn():
            return "budget"
        if self._placements < self._least:
            return None
        if self._precise:
            return "precise"
        if self._placements >= self._most:
            return "limit"
        if self._now() >= self._deadline:
            return "budget"
        return None
