"""Writes a finished report: whole or not at all."""

from __future__ import annotations

import os
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


def write(text: str, path: str | Path) -> None:
    """Write ``text`` as UTF-8 to ``path``, replacing what was there only once all of it is on disk.

    A link is followed; a device or a pipe is written to, never replaced.

    Raises:
        OutputError: the folder is missing, the path is a directory, or writing failed.
    """
    path = Path(path)
    try:
        target = path.resolve()
        if target.is_dir():
            raise OutputError(f"{path}: is a directory; name a file in it, e.g. -o {path / 'report.html'}")
        if not target.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}; make it, or choose another with -o")
        if target.exists() and not target.is_file():
            target.write_text(text, "utf-8")
        else:
            _replace(text, target)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}; choose another place with -o") from None


def _replace(text: str, target: Path) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".report-", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
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
