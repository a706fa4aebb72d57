"""Notices when a run's time does not pass as it should: pytest was stopped, the machine suspended, the clock set."""

from __future__ import annotations

import time
from collections.abc import Callable
from time import monotonic

from torchduet.bench.host import suspension
from torchduet.bench.record.schema import PassingRecord

MIN_STOPPED = 2.0  # seconds that a wait takes longer than asked for: no load of a machine makes it that late
MIN_SET = 1.0  # seconds: between two looks a clock that is only corrected for its drift changes by far less


def since_boot() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine is suspended."""
    return monotonic() if suspension.CLOCKS is None else time.clock_gettime(suspension.CLOCKS[0])


class RunClock:
    """What became of a run's time, as seen by the process that waits for its workers.

    Args:
        now: seconds of the clock that waits are measured by.
        suspended: seconds for which the machine has been suspended.
        wall, boot: seconds of the clock that is set, and of one that is not.

    Attributes:
        stopped: seconds for which this process did not run.
        suspended: seconds for which the machine was suspended.
        clock_set: by how many seconds the wall clock was set, forward above 0.
    """

    def __init__(
        self,
        now: Callable[[], float] = monotonic,
        suspended: Callable[[], float] = suspension.suspended,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = since_boot,
    ) -> None:
        self._now, self._suspended, self._wall, self._boot = now, suspended, wall, boot
        self.stopped = self.suspended = 0.0
        self.clock_set: list[float] = []
        self._slept, self._offset = suspended(), wall() - boot()

    def awake(self) -> float:
        """Seconds of a clock that stands still with this process: a budget is not spent while it is stopped."""
        return self._now() - self.stopped

    def waited(self, asked: float, took: float) -> float:
        """A wait for at most ``asked`` seconds took so many; returns those for which this process ran."""
        late = took - asked
        if late >= MIN_STOPPED:
            self.stopped += late
            took = asked
        self._look()
        return took

    def restore(self, before: PassingRecord | None) -> None:
        """Go on with what another process saw of the run's time, before anything is added here."""
        if before is not None:
            self.stopped, self.suspended = before["stopped"], before["suspended"]
            self.clock_set = [*before["clock_set"]]

    def _look(self) -> None:
        slept, offset = self._suspended(), self._wall() - self._boot()
        if slept - self._slept >= suspension.MIN_SUSPENDED:
            self.suspended += slept - self._slept
        if abs(offset - self._offset) >= MIN_SET:
            self.clock_set.append(offset - self._offset)
        self._slept, self._offset = slept, offset

    def record(self) -> PassingRecord | None:
        """As it stands in the JSON; None where time passed as it should."""
        if not (self.stopped or self.suspended or self.clock_set):
            return None
        return PassingRecord(
            stopped=round(self.stopped, 3),
            suspended=round(self.suspended, 3),
            clock_set=[round(by, 3) for by in self.clock_set],
        )
