"""Signals that end a run: after the first it finishes what is being timed, after the second it ends at once.

A service that ends a job sends SIGTERM, and SIGKILL some seconds later. So a run that SIGTERM or SIGHUP has asked to
end does end in time, whatever it waits for: first what it waits for is given up, then the process itself ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from time import sleep
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
GIVE_UP_SECONDS = 7.5  # after SIGTERM or SIGHUP: more than a worker gets to finish its timing
END_SECONDS = 9.5  # then the process ends: the results so far are in the journal

_quiet = False


def die_quietly() -> None:
    """Let Ctrl-C end this process without a traceback until a run listens: nothing has been written yet."""
    global _quiet
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _quiet = True


@contextlib.contextmanager
def exits() -> Iterator[None]:
    """Within the context a signal that ends the process raises SystemExit, so that what is half written is removed.

    The exit code is the one that shells use.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ENDING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, _exit)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


class StopRequest:
    """A request to end the run, by Ctrl-C, SIGTERM or SIGHUP, between :meth:`listen` and :meth:`restore`.

    A signal that was ignored before stays ignored.

    Attributes:
        number: the first signal that was received, 0 if there was none.
        graceful: whether the run finishes what is being timed after the first signal; else that raises at once.
        immediate: whether a second signal was received: the run ends at once.
        writes: whether the results are being written: what is waited for is not given up any more.
        ends: whether the run ends already: another signal does not disturb its last steps.
        in_time: whether the process ends by itself some seconds after SIGTERM or SIGHUP.
        at_end: what is called before it does.
    """

    def __init__(self, *, in_time: bool = False) -> None:
        self.number = 0
        self.graceful = self.immediate = self.writes = self.ends = False
        self.in_time, self.at_end = in_time, list[Callable[[], object]]()
        self._gives_up = self._over = False
        self._before: dict[int, Any] = {}
        self._wakeup = -1  # the end of a pipe into which the interpreter writes each signal
        self._wakeup_before = -1

    def listen(self) -> None:
        """Handle the signals from now on; only a process' main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        if self.in_time and hasattr(signal, "SIGHUP"):
            self._watch()
        for name in ENDING:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[number] = signal.signal(number, self._handle)
        if _quiet and self._before.get(signal.SIGINT) == signal.SIG_DFL:
            self._before[signal.SIGINT] = signal.default_int_handler

    def restore(self) -> None:
        """Restore the earlier handlers."""
        self._over = True
        if self._wakeup >= 0:
            signal.set_wakeup_fd(self._wakeup_before)
            os.close(self._wakeup)  # which ends the thread
            self._wakeup = -1
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
        if self._gives_up:  # it is sent by this process
            self._gives_up = False
            if self.writes or self.ends:
                return
            raise KeyboardInterrupt
        first, self.number = not self.number, self.number or number
        if self.ends:
            return
        self.immediate = not first
        if self.immediate or not self.graceful:
            raise KeyboardInterrupt

    def _watch(self) -> None:
        """Start the thread that ends the process in time; a handler runs only between two steps of the main thread."""
        received, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        self._wakeup_before = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        with contextlib.suppress(RuntimeError):  # no thread can be started
            threading.Thread(target=self._end_in_time, args=(received,), name="ends the run", daemon=True).start()

    def _end_in_time(self, received: int) -> None:
        """Give up what is waited for, and at last end the process."""
        number = 0
        while number not in (signal.SIGTERM, signal.SIGHUP):
            byte = os.read(received, 1)
            if not byte:
                os.close(received)
                return
            number = byte[0]
        sleep(GIVE_UP_SECONDS)
        if self._over:
            return
        self._gives_up = True
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # it interrupts a call that waits
        sleep(END_SECONDS - GIVE_UP_SECONDS)
        if self._over:
            return
        try:
            words = (
                f"torchduet: {signal.Signals(number).name}: the run did not end within {END_SECONDS} s, and was ended\n"
            )
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.write(sys.__stderr__.fileno(), words.encode())  # type: ignore[union-attr]
            for action in reversed(self.at_end):
                action()
        finally:
            os._exit(128 + number)
