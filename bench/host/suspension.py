"""Measures for how long this process was suspended: by a signal (Ctrl-Z, a batch system), or with the machine.

A block during which that happened is no measurement. Context switches are counted elsewhere, by ``counters``.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from time import perf_counter
from types import FrameType
from typing import NamedTuple

MAX_RETAKES = 3  # of a block during which a process was suspended
MIN_SUSPENDED = 0.2  # seconds: the two clocks are read one after the other, maybe with a context switch between


class Moment(NamedTuple):
    """One moment of this process.

    Attributes:
        at: seconds of ``perf_counter``.
        continued: how often the process had been continued (SIGCONT).
        suspended: seconds for which the machine had been suspended since it started.
    """

    at: float
    continued: int
    suspended: float


def _two_clocks() -> tuple[int, int] | None:
    """A clock that runs on while the machine is suspended, and one that does not; None where the system has none.

    Linux: clock_gettime(2). macOS counts suspension in CLOCK_MONOTONIC, and not in CLOCK_UPTIME_RAW.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC
    if sys.platform == "darwin":
        return time.CLOCK_MONOTONIC, time.CLOCK_UPTIME_RAW
    return None


CLOCKS = _two_clocks()


def machine_suspended() -> float:
    """Seconds for which the machine has been suspended since it started; 0 where the system does not count them."""
    if CLOCKS is None:
        return 0.0
    return time.clock_gettime(CLOCKS[0]) - time.clock_gettime(CLOCKS[1])


class _Process:
    """The state of this process."""

    continued = 0
    suspended = 0.0  # seconds for which it was suspended by a signal, at most
    checked = perf_counter()  # when it was last seen running


def listen() -> None:
    """Count from now on how often this process is continued; only a process' main thread can call this."""
    if hasattr(signal, "SIGCONT") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCONT, _continued)


def _continued(number: int, frame: FrameType | None) -> None:
    del number, frame
    now = perf_counter()
    _Process.continued += 1
    _Process.suspended += now - _Process.checked
    _Process.checked = now


def moment() -> Moment:
    """This moment."""
    _Process.checked = now = perf_counter()
    return Moment(now, _Process.continued, machine_suspended())


def suspended(since: Moment) -> float:
    """Seconds for which this process was suspended since a moment, at most; 0 if neither it nor the machine was.

    If the process was suspended by a signal, all of the time since the moment counts: how much of it was work is not
    known.
    """
    now = moment()
    by_machine = now.suspended - since.suspended
    seconds = by_machine if by_machine >= MIN_SUSPENDED else 0.0
    return seconds if now.continued == since.continued else seconds + now.at - since.at


def awake() -> float:
    """Seconds of a clock that stands still while this process is suspended by a signal, as far as that was detected."""
    return perf_counter() - _Process.suspended
