"""Makes calls without pause for some seconds, with the device's energy counter and its clock read in between.

Cases that alternate share the device's clocks and power: a case that draws much power is timed at the clocks that the
others leave it. Alone and without pause it may lower them by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from torchduet.bench.host.nvml import READINGS, devices
from torchduet.bench.record.schema import SustainedRecord

SUSTAINED_SECONDS = 1.0
PATIENCE_SECONDS = 1.0  # for the counter's first change, and for its last
MIN_CHANGES_FOR_WATTS = 5  # the window ends within a group of calls after a change: 30 ms of a second
SM_CLOCK = {"sm_mhz": READINGS["sm_mhz"]}

Joules = Callable[[], float]
Megahertz = Callable[[], float | None]


@dataclass
class Window:
    """Calls without pause. What the counter counted is from one of its changes to another.

    Attributes:
        calls: all of them.
        busy_seconds: within these, without the time to read counters.
        seconds: from the first change of the counter to the last; 0 without a counter.
        counted_calls: in this time.
        joules: in this time.
        changes: of the counter.
        clocks: MHz, one reading after each group of calls.
        first_clock: MHz, after the first group, when the device had been idle before.
        until: the whole duration, seconds.
    """

    calls: int = 0
    busy_seconds: float = 0.0
    seconds: float = 0.0
    counted_calls: int = 0
    joules: float = 0.0
    changes: int = 0
    clocks: list[float] = field(default_factory=list)
    first_clock: float | None = None
    until: float = 0.0

    def record(self) -> SustainedRecord:
        """What the calls took: seconds per call, watts, clocks."""
        record = SustainedRecord(seconds=self.busy_seconds / self.calls, window_seconds=self.until)
        if self.changes >= MIN_CHANGES_FOR_WATTS and self.seconds > 0:
            record["watts"] = self.joules / self.seconds
        if self.clocks:
            record["sm_mhz"] = median(self.clocks)
        if self.first_clock is not None:
            record["first_sm_mhz"] = self.first_clock
        return record


def back_to_back(
    call: Callable[[], int],
    joules: Joules | None,
    seconds: float = SUSTAINED_SECONDS,
    clock: Megahertz | None = None,
    now: Callable[[], float] = perf_counter,
) -> Window:
    """Call until ``seconds`` have passed and the counter has just changed; a counter that does not ends it later.

    Args:
        call: makes some calls, waits until they have finished, and returns their number.
        joules: reads the counter; None without one.
        clock: reads the device's clock, MHz; None without one.

    Raises:
        OSError: the counter cannot be read any more.
    """
    window = Window()
    call()
    window.first_clock = clock() if clock is not None else None
    last = joules() if joules is not None else 0.0
    if joules is not None:
        started, before = now(), last
        while (last := joules()) == before and now() - started < PATIENCE_SECONDS:
            call()
    first, since = last, now()
    while True:
        begun = now()
        window.calls += call()
        at = now()
        window.busy_seconds += at - begun
        changed = False
        if joules is not None:
            at, value = now(), joules()
            if changed := value != last:
                last = value
                window.joules, window.seconds, window.counted_calls = value - first, at - since, window.calls
                window.changes += 1
        if clock is not None and (megahertz := clock()) is not None:
            window.clocks.append(megahertz)
        beyond = at - since - seconds
        if beyond >= PATIENCE_SECONDS or (beyond >= 0 and (changed or joules is None)):
            window.until = at - since
            return window


def sm_clock(uuid: str, nvml: Any = None) -> Megahertz | None:
    """A function that reads the SM clock of a GPU (NVML, nvmlDeviceGetClockInfo); None where there is none."""
    (gpu,), _ = devices([uuid], nvml)
    if gpu is None or not gpu.read(SM_CLOCK):
        return None

    def read() -> float | None:
        value = gpu.read(SM_CLOCK).get("sm_mhz")
        return None if value is None else float(value)

    return read
