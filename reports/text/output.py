"""Writes what a command made: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path


class OutputError(Exception):
    """A place that cannot be written to; the message is one line: where, why, what to do."""


def keep_apart(output: str | Path, read: str | Path) -> None:
    """Make sure that writing ``output`` would not replace a file that is read, however either is spelled.

    Raises:
        OutputError: both are the same file, be it through a link.
    """
    try:
        same = Path(output).is_file() and Path(output).samefile(read)
    except (OSError, ValueError):
        same = False
    if same:
        raise OutputError(f"{output}: is the run itself, which would be lost; choose another file with -o")


def write(content: str | bytes, path: str | Path, example: str = "report.html") -> None:
    """Write bytes, or text as UTF-8, to ``path``, replacing what was there only once all of it is on disk.

    A link is followed; a device or a pipe is written to, never replaced.

    Raises:
        OutputError: the folder is missing, the path is a directory, or writing failed.
    """
    path = Path(path)
    try:
        data = content.encode() if isinstance(content, str) else content
        target = path.resolve()
        if target.is_dir():
            raise OutputError(f"{path}: is a directory; name a file in it, e.g. -o {path / example}")
        if not target.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}; make it, or choose another with -o")
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            _replace(data, target)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}; choose another place with -o") from None


def say(text: str) -> None:
    """Print text as it is; its end is the caller's.

    Raises:
        OutputError: standard output cannot take it, e.g. because the disk it goes to is full.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        abandon_stdout()
        raise OutputError(f"standard output cannot be written: {reason}") from None


def abandon_stdout() -> None:
    """What is still buffered must not raise again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replace(data: bytes, target: Path) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".report-", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_usual_mode(target))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _usual_mode(path: Path) -> int:
    """The mode a newly created file would have had, or the one of the file being replaced."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
