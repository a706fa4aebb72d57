"""Ends Python code that takes too long, in the main thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TookTooLong(BaseException):
    """A call with changed values does not end; no error that the call itself might handle."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End Python code within the context after some seconds, where the system has timers.

    Raises:
        TookTooLong: the seconds are over.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise TookTooLong(f"it did not end within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def one_line(error: BaseException) -> str:
    """The kind and the beginning of the text of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
