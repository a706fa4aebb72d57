"""The stopping rule of a visit: decides after each placement whether it has taken long enough.

It depends on the clock and the number of placements, never on what was measured. How many visits a family gets is
decided in :mod:`torchduet.bench.plan.visits`.
"""

from __future__ import annotations

from collections.abc import Callable

from torchduet.bench.host.suspension import awake
from torchduet.bench.record.schema import StopReason

MIN_VISIT_PLACEMENTS, MAX_VISIT_PLACEMENTS = 3, 16
INTERRUPTED: StopReason = "interrupted"
OVERDRAWN = 2.0  # shares of time beyond the first


class Stopping:
    """Stop when the time is used up, or after enough placements.

    At least 3 placements are taken, as fewer hardly show how much they differ. Exceptions: the calls have become so
    slow that three times the time is used up, or a stop was requested.

    Args:
        seconds: the time for all placements.
        min_placements: not counting the exceptions above.
        max_placements: stop after these even if time is left.
        now: the clock, in seconds.
        stop_requested: whether the run is to end early.
    """

    def __init__(
        self,
        seconds: float,
        min_placements: int = MIN_VISIT_PLACEMENTS,
        max_placements: int = MAX_VISIT_PLACEMENTS,
        now: Callable[[], float] = awake,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stop_requested = stop_requested
        self._seconds, self._min_placements, self._max_placements, self._now = (
            seconds,
            min_placements,
            max_placements,
            now,
        )
        self._begun, self._deadline = 0.0, float("inf")
        self._placements = 0

    def start(self) -> None:
        """Start the clock: the first placement begins now."""
        self._begun = self._now()
        self._deadline = self._begun + self._seconds

    def add(self, placements: int = 1) -> None:
        """Take note of more placements."""
        self._placements += placements

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
        """The reason to stop (``budget``, ``limit``, ``interrupted``), or None to continue."""
        if self._stop_requested():
            return INTERRUPTED
        if self._overdrawn():
            return "budget"
        if self._placements < self._min_placements:
            return None
        if self._placements >= self._max_placements:
            return "limit"
        if self._now() >= self._deadline:
            return "budget"
        return None
