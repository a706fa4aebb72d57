"""Ctrl-Z stops the worker, too, which a terminal does not reach; ``fg`` and ``bg`` let both go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

GO_ON = 'read _; kill -s CONT -- "-$0"'  # once the other end of its input is closed
STOP: Any = getattr(signal, "SIGTSTP", None)  # Windows has none


class JobControl:
    """Passes Ctrl-Z on to a process group, from :meth:`listen` to :meth:`restore`."""

    def __init__(self) -> None:
        self.group: int | None = None  # of the worker that is running, None while there is none
        self._before: Any = None

    def listen(self) -> None:
        """From now on, where the signal has its usual meaning; only a process' main thread can."""
        if STOP is None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(STOP) is signal.SIG_DFL:
            self._before = signal.signal(STOP, self._handle)

    def restore(self) -> None:
        """As it was before."""
        if self._before is not None:
            signal.signal(STOP, self._before)
            self._before = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        with contextlib.nullcontext() if self.group is None else stopped(self.group):
            signal.raise_signal(signal.SIGSTOP)  # to this thread, so that it does not go on before it is continued


@contextlib.contextmanager
def stopped(group: int) -> Iterator[None]:
    """A process group stands still, until the end of this context or of this process, however that ends.

    What is stopped cannot notice that this process is gone: a shell does, and lets it go on, to end by itself.
    """
    try:
        guard = subprocess.Popen(
            ["sh", "-c", GO_ON, str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what stops this process must not stop it
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
