"""Opens regular files only, and never waits: a pipe, a socket or a device in place of a file is refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link"),
)
CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class NotAFileError(OSError):
    """There is something else in place of a file; ``what`` is its kind, ``strerror`` a sentence on it."""

    def __init__(self, what: str, path: Path) -> None:
        super().__init__(errno.EINVAL, f"it is {what}, not a file", str(path))
        self.what = what


def descriptor(path: Path, flags: int = os.O_RDONLY) -> int:
    """The descriptor of a regular file that exists. Links are followed, unless ``flags`` has ``NO_FOLLOW``.

    Raises:
        IsADirectoryError: it is a folder.
        NotAFileError: it is a pipe, a socket, a device, or with ``NO_FOLLOW`` a link.
        OSError: it cannot be opened.
    """
    status = os.stat(path, follow_symlinks=not flags & NO_FOLLOW)  # noqa: PTH116 - to open some devices has an effect
    _check(status.st_mode, path)
    handle = os.open(path, flags | NO_WAIT | CLOSED_ON_EXEC)
    try:
        _check(os.fstat(handle).st_mode, path)  # it may have been replaced meanwhile
    except BaseException:
        os.close(handle)
        raise
    return handle


def open_file(path: Path) -> BinaryIO:
    """A regular file, opened for reading.

    Raises:
        OSError: as :func:`descriptor`.
    """
    return os.fdopen(descriptor(path), "rb")


def read_bytes(path: Path, limit: int = -1) -> bytes:
    """The content of a regular file, or its first ``limit`` bytes.

    Raises:
        OSError: as :func:`descriptor`.
    """
    with open_file(path) as file:
        return file.read(limit)


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a regular file.

    Raises:
        OSError: as :func:`descriptor`.
        UnicodeDecodeError: it has another encoding.
    """
    return read_bytes(path).decode(encoding)


def kind_of(mode: int) -> str:
    """``a pipe``, ``a socket``, ``a device``, ``a link``; empty for a file or a folder."""
    return next((words for is_one, words in KINDS if is_one(mode)), "")


def _check(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise NotAFileError(kind_of(mode) or "something else", path)
