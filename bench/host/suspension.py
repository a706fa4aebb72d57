"""Knows when this process stood still: stopped by a signal (Ctrl-Z, a batch system), or with the machine suspended.

What was being timed then is no measurement. That others took its core for a while is none of this module's business:
``telemetry`` counts that.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from time import perf_counter
from types import FrameType
from typing import NamedTuple

MAX_AGAIN = 3  # times that a block is taken again because a process stood still in it
MIN_SUSPENDED = 0.2  # seconds: the two clocks are not read at one moment, and there may be an interruption between


class Moment(NamedTuple):
    """One moment of this process.

    Attributes:
        at: seconds of ``perf_counter``.
        continued: how often it had been continued after it was stopped.
        suspended: seconds for which the machine had been suspended since it started.
    """

    at: float
    continued: int
    suspended: float


def _two_clocks() -> tuple[int, int] | None:
    """A clock that goes on while the machine is suspended, and one that does not; None where they are not known.

    Linux' clock_gettime(2); macOS' counts suspension in CLOCK_MONOTONIC, and not in CLOCK_UPTIME_RAW.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC
    if sys.platform == "darwin":
        return time.CLOCK_MONOTONIC, time.CLOCK_UPTIME_RAW
    return None


CLOCKS = _two_clocks()


def suspended() -> float:
    """Seconds for which the machine has been suspended since it started; 0 where that is not known."""
    if CLOCKS is None:
        return 0.0
    return time.clock_gettime(CLOCKS[0]) - time.clock_gettime(CLOCKS[1])


class _Here:
    """What is known of this process."""

    continued = 0
    stopped = 0.0  # seconds for which it was stopped, at the most
    looked = perf_counter()


def listen() -> None:
    """Notice from now on when this process is continued; only a process' main thread can ask for that."""
    if hasattr(signal, "SIGCONT") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCONT, _go_on)


def _go_on(number: int, frame: FrameType | None) -> None:
    del number, frame
    now = perf_counter()
    _Here.continued += 1
    _Here.stopped += now - _Here.looked  # it was running when somebody last looked
    _Here.looked = now


def moment() -> Moment:
    """This moment."""
    _Here.looked = now = perf_counter()
    return Moment(now, _Here.continued, suspended())


def paused(since: Moment) -> float:
    """Seconds for which this process has not run since a moment, at the most; 0 if it was never stopped or suspended.

    Between a stop and what was noticed last nothing tells work from standing still: both count.
    """
    here = moment()
    asleep = here.suspended - since.suspended
    found = asleep if asleep >= MIN_SUSPENDED else 0.0
    return found if here.continued == since.continued else found + here.at - since.at


def awake() -> float:
    """Seconds of a clock that stands still with this process, as far as that was noticed."""
    return perf_counter() - _Here.stopped
