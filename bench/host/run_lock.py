"""One run at a time on a machine: an advisory lock, which the kernel frees when its process ends in any way."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from torchduet.bench.files.regular import NO_FOLLOW, descriptor
from torchduet.bench.record.units import duration

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

CHOICES = WAIT, REFUSE, GO = ("wait", "refuse", "go")
VARIABLE = "TORCHDUET_LOCK"
POLL_SECONDS = 0.5
REPORT_SECONDS = 30.0
BUSY = "another run of Torchduet is measuring on this machine"
UNDETECTED = (
    "other runs are not detected, as the lock's file {path} cannot be used: {why}; TORCHDUET_LOCK names another"
)
TOGETHER = "another run of Torchduet was measuring on this machine at the same time (--when-busy go)"


def lock_path() -> Path:
    """The lock's file, the same for all users; containers on one machine can name a file that they share."""
    return Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / "torchduet.lock")


class LockError(Exception):
    """The lock cannot be taken as asked; the message names the option and says what to do."""


class Lock:
    """The lock of one run, held from :meth:`take` to :meth:`free`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def take(self, when_busy: str, report: Callable[[str], None]) -> str | None:
        """Take the lock; returns a warning for the record if another run holds it and ``when_busy`` is ``go``.

        It also returns one if the lock's file cannot be used, so that other runs are not detected.

        Args:
            when_busy: one of CHOICES.
            report: gets a line on what is waited for, at once and then every half minute.

        Raises:
            LockError: another run holds it, and ``when_busy`` is ``refuse``.
        """
        if fcntl is None:
            return None
        try:
            self._handle = self._open()
        except OSError as error:  # another user's private file, a link, a pipe, a full disk, or no folder
            return UNDETECTED.format(path=self._path, why=error.strerror or error)
        began, reported = monotonic(), -REPORT_SECONDS
        while not self._taken():
            if when_busy == REFUSE:
                self.free()
                raise LockError(f"--when-busy refuse: {BUSY} ({self._path} is locked)")
            if when_busy == GO:
                self.free()
                return TOGETHER
            if monotonic() - reported >= REPORT_SECONDS:
                reported = monotonic()
                so_far = duration(reported - began)
                report(f"{BUSY}: waiting for its end, {so_far} so far (--when-busy go does not wait)")
            sleep(POLL_SECONDS)
        return None

    def free(self) -> None:
        """Release the lock. The file stays: otherwise two runs could lock two files of the same name."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> int:
        """Open the file read-only, and never through a link: any user may have made it in a shared folder."""
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644))
        return descriptor(self._path, os.O_RDONLY | NO_FOLLOW)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True


def parse(text: str) -> str:
    """The value of ``--when-busy``.

    Raises:
        LockError: it is not one of CHOICES.
    """
    if text not in CHOICES:
        raise LockError(f"--when-busy {text!r}: choose {', '.join(CHOICES[:-1])} or {CHOICES[-1]}")
    return text
