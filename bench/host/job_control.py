"""Passes Ctrl-Z on to the worker, which the terminal's signal does not reach; ``fg`` and ``bg`` continue both."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

CONTINUE = 'read _; kill -s CONT -- "-$0"'  # a shell script: waits until the other end of its input is closed
STOP: Any = getattr(signal, "SIGTSTP", None)  # Windows has none


class JobControl:
    """Passes Ctrl-Z on to a process group, from :meth:`listen` to :meth:`restore`."""

    def __init__(self) -> None:
        self.group: int | None = None  # of the worker that is running, None while there is none
        self._before: Any = None

    def listen(self) -> None:
        """Handle the signal from now on, if nobody else does; only a process' main thread can."""
        if STOP is None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(STOP) is signal.SIG_DFL:
            self._before = signal.signal(STOP, self._handle)

    def restore(self) -> None:
        """Restore the earlier handler."""
        if self._before is not None:
            signal.signal(STOP, self._before)
            self._before = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        with contextlib.nullcontext() if self.group is None else suspended(self.group):
            signal.raise_signal(signal.SIGSTOP)  # to this thread, so that it does not run on before SIGCONT


@contextlib.contextmanager
def suspended(group: int) -> Iterator[None]:
    """Suspend a process group until this context or this process ends, however it ends.

    A suspended group cannot detect that this process has ended. A shell does, and continues the group, which then
    ends by itself.
    """
    try:
        guard = subprocess.Popen(
            ["sh", "-c", CONTINUE, str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal that suspends this process must not suspend the guard
        )
    except OSError:  # no shell, or no room for a process
        yield
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        guard.communicate()
