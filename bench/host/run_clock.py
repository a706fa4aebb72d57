"""Measures for how long pytest or the machine was suspended during a run, and whether the clock was set."""

from __future__ import annotations

import time
from collections.abc import Callable
from time import monotonic

from torchduet.bench.host import suspension
from torchduet.bench.record.schema import PassingRecord

MIN_STOPPED = 2.0  # seconds by which a wait exceeds its limit: no load of a machine delays it that long
MIN_SET = 1.0  # seconds: correcting a clock for its drift changes it by far less between two readings


def since_boot() -> float:
    """Seconds of a clock that cannot be set, and that runs on while the machine is suspended."""
    return monotonic() if suspension.CLOCKS is None else time.clock_gettime(suspension.CLOCKS[0])


class RunClock:
    """What became of a run's time, as seen by the process that waits for its workers.

    Args:
        now: seconds of the clock that waits are measured by.
        suspended: seconds for which the machine has been suspended.
        wall, boot: seconds of the clock that can be set, and of one that cannot.

    Attributes:
        stopped: seconds for which this process was suspended, as by Ctrl-Z.
        suspended: seconds for which the machine was suspended.
        clock_set: by how many seconds the wall clock was set each time; positive: forward.
    """

    def __init__(
        self,
        now: Callable[[], float] = monotonic,
        suspended: Callable[[], float] = suspension.machine_suspended,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = since_boot,
    ) -> None:
        self._now, self._suspended, self._wall, self._boot = now, suspended, wall, boot
        self.stopped = self.suspended = 0.0
        self.clock_set: list[float] = []
        self._suspended_before, self._offset = suspended(), wall() - boot()

    def awake(self) -> float:
        """Seconds of a clock that stands still while this process is suspended: that time is not spent."""
        return self._now() - self.stopped

    def waited(self, limit: float, took: float) -> float:
        """Account for a wait of at most ``limit`` seconds that took ``took``; returns the seconds this process ran."""
        late = took - limit
        if late >= MIN_STOPPED:
            self.stopped += late
            took = limit
        self._read_clocks()
        return took

    def restore(self, before: PassingRecord | None) -> None:
        """Continue from an earlier process' record of the run; call it before anything is added here."""
        if before is not None:
            self.stopped, self.suspended = before["stopped"], before["suspended"]
            self.clock_set = [*before["clock_set"]]

    def _read_clocks(self) -> None:
        suspended, offset = self._suspended(), self._wall() - self._boot()
        if suspended - self._suspended_before >= suspension.MIN_SUSPENDED:
            self.suspended += suspended - self._suspended_before
        if abs(offset - self._offset) >= MIN_SET:
            self.clock_set.append(offset - self._offset)
        self._suspended_before, self._offset = suspended, offset

    def record(self) -> PassingRecord | None:
        """The record for the JSON; None where nothing was suspended and no clock was set."""
        if not (self.stopped or self.suspended or self.clock_set):
            return None
        return PassingRecord(
            stopped=round(self.stopped, 3),
            suspended=round(self.suspended, 3),
            clock_set=[round(step, 3) for step in self.clock_set],
        )
