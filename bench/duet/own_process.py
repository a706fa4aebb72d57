"""A worker's own process: how it ends, which thread handles a signal, whether it is idle, on which core it runs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from time import process_time, sleep

from torchduet.bench.duet.cores import TASKS

SPINNING_SECONDS, SPINNING_SHARE = 1e-3, 0.2  # within which a thread that spins is seen, and what share of it counts
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@contextlib.contextmanager
def blocked_in_new_threads(number: signal.Signals) -> Iterator[None]:
    """Block this signal in threads that are started meanwhile, so that the main thread handles it before it continues.

    Every turn begins with SIGCONT. If another thread handled it, the handler would run in the middle of a block, as if
    the process had been stopped there.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def has_children() -> bool:
    """Whether this process has child processes; True where this system does not say."""
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def computes_on() -> bool:
    """Whether threads of this process go on computing after a call, as OpenMP's do: they spin for some milliseconds."""
    before = process_time()
    sleep(SPINNING_SECONDS)
    return process_time() - before > SPINNING_SHARE * SPINNING_SECONDS or _others_run()


def _others_run() -> bool:
    """Whether another thread of this process runs or waits for a core, by proc_pid_stat(5)."""
    own = str(threading.get_native_id())
    for task in TASKS.iterdir() if TASKS.exists() else ():
        with contextlib.suppress(OSError, IndexError):  # the thread has ended
            if task.name != own and (task / "stat").read_bytes().rsplit(b") ", 1)[1][:1] == b"R":
                return True
    return False


def cpu() -> int | None:
    """The core that this thread has just run on; None if that is unknown."""
    return None if _libc is None else _libc.sched_getcpu()
