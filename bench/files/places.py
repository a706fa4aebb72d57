"""Tries an output's place before the work begins, and finds another for a result that cannot be written there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from pathlib import Path

from torchduet.bench.files.atomic import (
    PREFIX,
    SUFFIX,
    own_descriptor,
    real_path,
    status_of,
    sweep,
    temporary_file,
    write_atomically,
)
from torchduet.bench.files.regular import NotAFileError, kind_of

FALLBACK_PREFIX = "torchduet-result-"
NO_LINKS = (errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ENOSPC, errno.EDQUOT, errno.EIO)


def try_place(path: Path, *, only_files: bool = False) -> None:
    """Write a file there, as its content will be later: an existing file is not touched, and nothing is left.

    Args:
        only_files: whether pipes and devices are refused; else nothing is written to them.

    Raises:
        IsADirectoryError: it is a folder.
        NotAFileError: it is a pipe, a socket or a device, and only files are wanted.
        OSError: a file cannot be written there.
    """
    if own_descriptor(path) is not None:
        if only_files:
            raise NotAFileError("standard input or output", path)
        return
    target = real_path(path)
    status = status_of(target)
    if status is None or stat.S_ISREG(status.st_mode):
        _try_file(target, status)
    elif stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    elif only_files:
        raise NotAFileError(kind_of(status.st_mode) or "something else", path)


def try_folder(folder: Path) -> None:
    """Write a file in a folder; nothing is left.

    Raises:
        OSError: it cannot be written there.
    """
    with temporary_file(folder) as (file, _):
        file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())


def _try_file(target: Path, status: os.stat_result | None) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {target.parent}", str(target))
    sweep(target.parent)
    with temporary_file(target.parent) as (file, name):
        file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())
        if status is None:
            _try_name(name, target)
        else:
            _try_replacing(target)


def _try_name(temporary: Path, target: Path) -> None:
    """Give a file its later name, for a moment. A file that another process puts there meanwhile stays."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno in NO_LINKS:  # a file system without hard links
            return
        raise
    if target.samefile(temporary):
        target.unlink()


def _try_replacing(target: Path) -> None:
    """Ask for the replacement of a file by a folder: the kernel refuses that last, after it has checked permissions.

    So nothing is replaced, not even for a moment in which another process may have written the file.
    """
    if str(target) in _mount_points():
        raise OSError(errno.EBUSY, "it is mounted as a single file, which cannot be replaced; mount its folder")
    folder = tempfile.mkdtemp(dir=target.parent, prefix=PREFIX, suffix=SUFFIX)
    try:
        os.rename(folder, target)  # noqa: PTH104 - Path.rename returns a new path
        target.rmdir()  # the file was removed meanwhile
    except OSError as error:
        if error.errno in REFUSED:
            raise
    finally:
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _mount_points() -> set[str]:
    """Where something is mounted, as far as this process sees; empty where Linux does not say."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
        return {os.fsdecode(re.sub(rb"\\(\d{3})", _octal, line.split()[4])) for line in lines if line.count(b" ") > 4}
    return set()


def _octal(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) & 0xFF])


def home() -> Path:
    """The user's home folder; the root, as in containers, for a user without one: no HOME, and no entry of passwd."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.path.abspath(os.sep))  # noqa: PTH100


def write_elsewhere(content: bytes, path: Path) -> Path | None:
    """Write a result that its own place does not take: to the working folder, else to the temporary one.

    Args:
        path: of the file; its name is kept, with a number where it is taken.

    Returns:
        The path of the file; None: it can be written in neither, or ``path`` is no file but a pipe or a device.
    """
    name = path.name
    if not name or not _is_for_a_file(path):
        return None
    with contextlib.suppress(OSError):
        path = _free(Path.cwd(), name)
        write_atomically(content, path)
        return path
    folder = None
    with contextlib.suppress(OSError):
        folder = Path(tempfile.mkdtemp(prefix=FALLBACK_PREFIX))  # in a shared folder, a name of others' choice is none
        write_atomically(content, folder / name)
        return folder / name
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return None


def other_folder(name: str) -> Path | None:
    """A new folder for results that their own does not take: in the working folder, else in the temporary one."""
    with contextlib.suppress(OSError):
        return _made(_free(Path.cwd(), name))
    with contextlib.suppress(OSError):
        return _made(Path(tempfile.mkdtemp(prefix=FALLBACK_PREFIX), name))
    return None


def _made(folder: Path) -> Path:
    folder.mkdir()
    try_folder(folder)
    return folder


def _is_for_a_file(path: Path) -> bool:
    if own_descriptor(path) is not None:
        return False
    try:
        status = status_of(real_path(path))
    except (OSError, ValueError):
        return True
    return status is None or not kind_of(status.st_mode)


def _free(folder: Path, name: str) -> Path:
    path, number = folder / name, 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path
