"""Writes a file completely or not at all: a failure, or a kill, leaves the file as it was before.

The content goes to a temporary file in the same folder, which then replaces the file. The writer holds a lock on it: a
temporary file without a lock is of a writer that was killed, and the next writer in that folder removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import BinaryIO

from torchduet.bench.files.regular import CLOSED_ON_EXEC, NO_FOLLOW, NO_WAIT, kind_of

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".torchduet-", ".part"  # short: a name may be as long as the file system allows
DESCRIPTORS = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
NAMED = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
READER_SECONDS = 5.0  # for which a pipe's reader is waited for
POLL_SECONDS = 0.05
ATTEMPTS = 100


def write_atomically(content: bytes, path: Path) -> None:
    """Write a file; it is replaced only once all of it is on disk. A link's target is written, not the link.

    A hard link to the earlier file keeps the earlier content. A pipe, a device and a descriptor of this process, such
    as ``/dev/stdout``, are written to directly.

    Raises:
        OSError: the file cannot be written; its earlier content stays, and no temporary file is left.
    """
    if (number := own_descriptor(path)) is not None:
        with os.fdopen(os.dup(number), "wb") as file:
            file.write(content)
        return
    target = real_path(path)
    status = status_of(target)
    if status is None or stat.S_ISREG(status.st_mode):
        replace(content, target, status)
    elif stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    else:
        with os.fdopen(_opened(target, status.st_mode), "wb") as file:
            file.write(content)


def replace(content: bytes, target: Path, status: os.stat_result | None) -> None:
    """Put a file with this content in place of ``target``, which is no link.

    Args:
        status: of the file that is replaced, whose mode and owner the new one gets; None: there is none.

    Raises:
        OSError: it cannot be; nothing is changed.
    """
    sweep(target.parent)
    with temporary_file(target.parent) as (file, name):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        if status is not None and hasattr(os, "fchown"):
            with contextlib.suppress(OSError):  # only root may give a file away
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
        name.chmod(0o666 & ~_umask() if status is None else stat.S_IMODE(status.st_mode))
        if fcntl is None:
            file.close()  # Windows replaces no open file
        name.replace(target)


@contextlib.contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file in a folder, for its owner only, which this process locks; it is removed if it is still there.

    Raises:
        OSError: it cannot be made.
    """
    handle, name = _locked(folder)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, name
    finally:
        with contextlib.suppress(OSError):
            name.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the temporary files of writers that were killed: no process holds their locks."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        left = [entry for entry in entries if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX)]
        for entry in left:
            with contextlib.suppress(OSError):  # its writer is at work, or another sweep has removed it
                if entry.is_dir(follow_symlinks=False):
                    os.rmdir(entry.path)  # noqa: PTH106
                else:
                    _remove_unlocked(entry.path)


def _remove_unlocked(name: str) -> None:
    handle = os.open(name, os.O_RDONLY | NO_FOLLOW | NO_WAIT | CLOSED_ON_EXEC)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(name).unlink()
    finally:
        os.close(handle)


def _locked(folder: Path) -> tuple[int, Path]:
    """A new file that this process has locked before another's sweep removed it."""
    for _ in range(ATTEMPTS):
        handle, name = tempfile.mkstemp(dir=folder, prefix=PREFIX, suffix=SUFFIX)
        if fcntl is None:
            return handle, Path(name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # a sweep is about to remove it
            os.close(handle)
            continue
        except OSError:  # a file system without locks, where nothing is swept
            return handle, Path(name)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)
    raise OSError(errno.EBUSY, "its temporary files are removed at once by another process", str(folder))


def real_path(path: Path) -> Path:
    """The path without links, of a file that need not exist.

    Raises:
        OSError: its links form a loop.
    """
    try:
        target = path.resolve()
    except RuntimeError:  # before Python 3.13
        target = path
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def status_of(path: Path) -> os.stat_result | None:
    """The status of what is there; None: nothing is.

    Raises:
        OSError: it cannot be known, as a folder above cannot be searched.
    """
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def own_descriptor(path: Path) -> int | None:
    """The number of the descriptor of this process that a path such as ``/dev/stdout`` stands for; None: of none."""
    text = os.path.abspath(path)  # noqa: PTH100 - without following it
    match = DESCRIPTORS.fullmatch(text)
    return NAMED.get(text, int(match[1]) if match else None)


def _opened(target: Path, mode: int) -> int:
    """The descriptor of a pipe or a device, for writing; a pipe's reader is waited for, but not forever."""
    deadline = monotonic() + READER_SECONDS
    while True:
        try:
            handle = os.open(target, os.O_WRONLY | NO_WAIT | CLOSED_ON_EXEC)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(mode):
                raise
            if monotonic() > deadline:
                raise OSError(errno.ENXIO, f"it is {kind_of(mode)} that nobody reads", str(target)) from None
        sleep(POLL_SECONDS)
    os.set_blocking(handle, True)
    return handle


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
