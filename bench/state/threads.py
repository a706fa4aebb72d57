"""Finds threads of Python that keep a core busy after the call that started them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from threading import Thread

WATCHED_SECONDS = 0.02
BUSY_SHARE = 0.25  # of the time; several threads of Python share one core by the interpreter's lock


def cpu_seconds(thread: Thread) -> float:
    """Seconds that a thread has spent on a core; 0 where it has ended, or where the system does not count them."""
    if not hasattr(time, "pthread_getcpuclockid") or thread.ident is None or not thread.is_alive():
        return 0.0
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    except OSError:  # it has just ended
        return 0.0


def busy(threads: Sequence[Thread], seconds: float = WATCHED_SECONDS) -> list[Thread]:
    """Those that use a core for a quarter of the time and more, while this thread sleeps for ``seconds``."""
    before = {thread: cpu_seconds(thread) for thread in threads}
    start = time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - start
    return [
        thread
        for thread in threads
        if thread.is_alive() and cpu_seconds(thread) - before[thread] >= BUSY_SHARE * elapsed
    ]
