"""Measures for how long this thread slept: it neither ran nor waited for a core, as far as the system counts that."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, thread_time

SCHEDSTAT = Path("/proc/thread-self/schedstat")


def seconds_asleep() -> float:
    """Seconds of a clock that runs only while this thread sleeps, as when it waits for a worker's data.

    Off Linux the clock also runs while other threads have this thread's core. In a virtual machine it also runs while
    the host has the core.
    """
    return perf_counter() - thread_time() - _waited_for_a_core()


def _waited_for_a_core() -> float:
    """Seconds for which this thread was ready to run without a core; 0 where the system does not count them.

    Linux, Documentation/scheduler/sched-stats: time on the CPU and time waiting on a runqueue, in nanoseconds.
    """
    try:
        return int(SCHEDSTAT.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
