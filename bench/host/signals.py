"""Signals that end a run: after the first it finishes what is being timed, after the second it ends at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class StopRequest:
    """A request to end the run, by Ctrl-C, SIGTERM or SIGHUP, between :meth:`listen` and :meth:`restore`.

    A signal that was ignored before stays ignored.

    Attributes:
        number: the first signal that was received, 0 if there was none.
        graceful: whether the run finishes what is being timed after the first signal; else that raises at once.
        immediate: whether a second signal was received: the run ends at once.
    """

    def __init__(self) -> None:
        self.number = 0
        self.graceful = False
        self.immediate = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Handle the signals from now on; only a process' main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for name in ENDING:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Restore the earlier handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def received(self) -> bool:
        """Whether the run is to end."""
        return self.number != 0

    @property
    def name(self) -> str:
        """The first signal, as ``"SIGTERM"``; empty if there was none."""
        return signal.Signals(self.number).name if self.number else ""

    @property
    def exit_code(self) -> int:
        """The exit code that shells use: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.number

    def _handle(self, number: int, _: FrameType | None) -> None:
        first, self.number = not self.number, self.number or number
        self.immediate = not first
        if self.immediate or not self.graceful:
            raise KeyboardInterrupt
