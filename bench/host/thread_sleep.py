"""Knows for how long this thread slept: it neither ran nor waited for a core, as far as the system says."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, thread_time

SCHEDSTAT = Path("/proc/thread-self/schedstat")


def seconds_asleep() -> float:
    """Seconds of a clock that goes on while this thread sleeps, such as for a worker's data, and else stands still.

    Off Linux it goes on, too, while others have this thread's core, and in a virtual machine while its host has.
    """
    return perf_counter() - thread_time() - _waited_for_a_core()


def _waited_for_a_core() -> float:
    """Seconds that this thread was ready to run while others had its core; 0 where the system does not count them.

    Linux, Documentation/scheduler/sched-stats: time on the CPU and time waiting on a runqueue, in nanoseconds.
    """
    try:
        return int(SCHEDSTAT.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
