"""Writes a finished report: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class OutputError(Exception):
    """A place that cannot be written to; the message is one line: where, why, what to do."""


def write(text: str, path: str | Path) -> None:
    """Write ``text`` as UTF-8 to ``path``, replacing what was there only once all of it is on disk.

    Raises:
        OutputError: the folder is missing, the path is a directory, or writing failed.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a directory; name a file in it, e.g. -o {path / 'report.html'}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it, or choose another with -o")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_usual_mode(path))
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another place with -o"
        ) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _usual_mode(path: Path) -> int:
    """The mode a newly created file would have had, or the one of the file being replaced."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
