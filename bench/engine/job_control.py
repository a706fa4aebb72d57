"""Ctrl-Z stops the worker, too, which a terminal does not reach; ``fg`` and ``bg`` let both go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

STOP = getattr(signal, "SIGTSTP", None)  # Windows has none


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
        self._signal(signal.SIGSTOP)
        try:
            signal.raise_signal(signal.SIGSTOP)  # to this thread, so that it does not go on before it is continued
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.group is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, number)
