"""Finds threads of Python that keep a core busy after the call that started them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

WATCHED_SECONDS = 0.02
MAX_WINDOWS = 25  # while a thread waits for a core that other processes have
BUSY_SHARE = 0.25  # of the time; several threads of Python share one core by the interpreter's lock
TASKS = Path("/proc/self/task")
NANOSECONDS = 1e9


@dataclass(frozen=True)
class Reading:
    """What the system counts of a thread; zeros where it has ended, or where the system does not count.

    Attributes:
        used: seconds on a core.
        waited: seconds in which it was ready and other processes had the cores, up to its last turn.
        ready: whether it is on a core now, or waits for one.
    """

    used: float = 0.0
    waited: float = 0.0
    ready: bool = False


def reading(thread: Thread) -> Reading:
    """What the system counts of a thread so far."""
    if not hasattr(time, "pthread_getcpuclockid") or thread.ident is None or not thread.is_alive():
        return Reading()
    if sys.platform != "linux":
        return Reading()
    try:
        used = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    except OSError:  # it has just ended
        return Reading()
    folder = TASKS / str(thread.native_id)
    try:
        waited = int((folder / "schedstat").read_text().split()[1]) / NANOSECONDS
        ready = (folder / "stat").read_text().rpartition(") ")[2].startswith("R")
    except (OSError, ValueError, IndexError):  # it has just ended, or the kernel was built without
        return Reading(used)
    return Reading(used, waited, ready)


def busy(threads: Sequence[Thread], seconds: float = WATCHED_SECONDS) -> list[Thread]:
    """Those that use a core for a quarter of the time and more in which they could have one.

    This thread sleeps for ``seconds``, and again where others wait for a core: a thread that had no turn shows nothing.
    """
    before = {thread: reading(thread) for thread in threads}
    start = time.perf_counter()
    for _ in range(MAX_WINDOWS):
        time.sleep(seconds)
        elapsed = time.perf_counter() - start
        now = {thread: reading(thread) for thread in threads if thread.is_alive()}
        working = [
            thread
            for thread, found in now.items()
            if found.used - before[thread].used
            >= BUSY_SHARE * max(elapsed - (found.waited - before[thread].waited), seconds / 2)
        ]
        if working or not any(found.ready for found in now.values()):
            return working
    return []
