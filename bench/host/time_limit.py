"""Ends Python code in the main thread that takes too long, where the system has interval timers."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def limited(seconds: float, error: Callable[[], BaseException], repeat: float = 0.0) -> Iterator[None]:
    """Raise ``error()`` within the context once the seconds are over; without a limit where there are no timers.

    Args:
        error: a BaseException is not handled by code that handles every Exception.
        repeat: seconds after which it is raised again, for code that handles even that; 0: once.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise error()

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, repeat)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
