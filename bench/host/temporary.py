"""A run's temporary folder; a run removes the folders of earlier runs that were killed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from time import time

from torchduet.bench.files.regular import NO_FOLLOW, descriptor

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "torchduet-"
NO_ROOM = (
    "no folder for temporary files can be written to (TMPDIR, /tmp, /var/tmp, the working folder): make room there, or "
    "set TMPDIR to one that has it"
)
ALIVE = "alive"  # a file that the run locks
HEADERS = "TORCHDUET_HEADERS"  # folder for the C++ headers that inductor precompiles once for all processes of a run
YOUNG_SECONDS = 60.0  # a new folder may not be locked yet; so may one of a later time, if the clock was set back


_folders: set[RunFolder] = set()  # that are not removed yet


def parent() -> str:
    """The folder for temporary files: the first to which a file can be written of TMPDIR, /tmp, /var/tmp and others.

    Raises:
        OSError: there is none; ``strerror`` says what to do.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        raise OSError(errno.ENOSPC, NO_ROOM) from None


class RunFolder:
    """A temporary folder, removed by :meth:`cleanup`.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self) -> None:
        parent()
        sweep()
        _folders.add(self)
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.name = self._folder.name
        self._handle = os.open(Path(self.name, ALIVE), os.O_RDWR | os.O_CREAT, 0o600)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def path(self) -> Path:
        """Its path."""
        return Path(self.name)

    def cleanup(self) -> None:
        """Remove it; a second call does nothing."""
        _folders.discard(self)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._folder.cleanup()


def remove_all() -> None:
    """Remove this process's folders, when it ends without its usual last steps."""
    for folder in list(_folders):
        folder.cleanup()


def sweep() -> None:
    """Remove the folders of this user's runs that were killed: no process holds their locks."""
    if fcntl is None:
        return
    for mark in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{ALIVE}"):
        with contextlib.suppress(OSError):  # another user's, or another sweep has removed it
            if mark.stat().st_uid == os.getuid() and abs(time() - mark.stat().st_mtime) > YOUNG_SECONDS and _free(mark):
                shutil.rmtree(mark.parent, ignore_errors=True)


def _free(mark: Path) -> bool:
    handle = descriptor(mark, os.O_RDONLY | NO_FOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
