"""Writes a command's output: either all of it or none."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path


class OutputError(Exception):
    """A path that cannot be written to; the message is one line: where, why, what to do."""


def refuse_overwrite(output: str | Path, source: str | Path) -> None:
    """Check that writing ``output`` would not replace an input file, however either path is spelled.

    Raises:
        OutputError: both paths name the same file, also through a link.
    """
    try:
        same = Path(output).is_file() and Path(output).samefile(source)
    except (OSError, ValueError):
        same = False
    if same:
        raise OutputError(f"{output}: is the run's own file, which would be lost; choose another file with -o")


def write(content: str | bytes, path: str | Path, example: str = "report.html") -> None:
    """Write bytes, or text as UTF-8, to ``path``; an existing file is replaced only when all of it is on disk.

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
            raise OutputError(f"{path}: there is no folder {path.parent}; create it, or choose another with -o")
        if target.exists() and not target.is_file():
            with contextlib.suppress(BrokenPipeError):  # the reader of a pipe has ended: it has all it wants
                target.write_bytes(data)
        else:
            _replace(data, target)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}; choose another path with -o") from None


def write_stdout(text: str) -> None:
    """Print text unchanged, without a newline at its end.

    Raises:
        OutputError: standard output cannot be written, e.g. because its disk is full.
    """
    if sys.stdout is None:  # closed when the process began
        if text:
            raise OutputError("standard output cannot be written: it is closed")
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has ended: it has all it wants
        discard_stdout()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        discard_stdout()
        raise OutputError(f"standard output cannot be written: {reason}") from None


def discard_stdout() -> None:
    """Redirect standard output to the null device, so that buffered text does not raise again at exit."""
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
    """The mode of the file being replaced, or the mode that a new file would have."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
