"""Signals that end a run: the first lets it finish what it is at, the second stops it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class StopRequest:
    """Listens to Ctrl-C, SIGTERM and SIGHUP from :meth:`listen` to :meth:`restore`; those ignored stay so.

    Attributes:
        number: the signal that asked the run to end, 0 if none did.
        soft: whether the first one lets the run finish what it is at; else it raises at once.
        twice: whether the run was to stop at once.
    """

    def __init__(self) -> None:
        self.number = 0
        self.soft = False
        self.twice = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """From now on; only a process' main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for name in ENDING:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """As it was before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def asked(self) -> bool:
        """Whether the run is to end."""
        return self.number != 0

    @property
    def name(self) -> str:
        """The signal that asked: ``"SIGTERM"``; empty if none did."""
        return signal.Signals(self.number).name if self.number else ""

    @property
    def exit_code(self) -> int:
        """As shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.number

    def _handle(self, number: int, _: FrameType | None) -> None:
        first, self.number = not self.number, self.number or number
        self.twice = not first
        if self.twice or not self.soft:
            raise KeyboardInterrupt
