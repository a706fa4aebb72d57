"""Decides which folders below a folder are searched for runs, and finds the latest of them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

STORAGE = ".benchmarks"  # of pytest-benchmark's --benchmark-autosave and --benchmark-save
# The folder that pytest-benchmark makes in its storage for each kind of machine: Linux-CPython-3.12-64bit.
MACHINE = re.compile(r"[A-Za-z]\w*-[A-Za-z]\w*-\d+\.\d+-\d+bit")
MAX_NAMED = 3
MAX_FILES = 2000  # among which an error message looks for an example


def is_searched(folder: Path) -> bool:
    """Whether a folder below the one that was named is searched: visible, or a storage of pytest-benchmark's.

    Other hidden folders (``.git``, ``.venv``, ``.tox``) hold many files and no runs.
    """
    if not folder.name.startswith(".") or folder.name == STORAGE:
        return True
    try:
        with os.scandir(folder) as entries:
            return any(MACHINE.fullmatch(entry.name) and entry.is_dir() for entry in entries)
    except OSError:
        return False


def json_files(
    folder: Path, left_out: list[str] | None = None, onerror: Callable[[OSError], None] | None = None
) -> Iterator[str]:
    """The paths of all JSON files in a folder and those below it, relative to it, with forward slashes.

    Hidden files and hidden folders without runs are left out; links to folders are not followed.

    Args:
        left_out: the paths of the hidden folders that were not searched are added to it.
        onerror: is called with the error of a folder that cannot be read.
    """
    for top, inner, names in os.walk(folder, onerror=onerror):
        below = Path(top).relative_to(folder)
        searched = sorted(name for name in inner if is_searched(Path(top, name)))
        if left_out is not None:
            left_out += [(below / name).as_posix() for name in sorted({*inner} - {*searched})]
        inner[:] = searched
        yield from ((below / name).as_posix() for name in names if name.endswith(".json") and not name.startswith("."))


def not_searched(left_out: list[str]) -> str:
    """``; 2 hidden folders were not searched (.git, .venv): name one to search it``; empty without any."""
    if not left_out:
        return ""
    folders = f"{len(left_out)} hidden folder{'s were' if len(left_out) > 1 else ' was'}"
    more = ", …" if len(left_out) > MAX_NAMED else ""
    names = ", ".join(name.encode("utf-8", "backslashreplace").decode() for name in left_out[:MAX_NAMED])
    return f"; {folders} not searched ({names}{more}): name one to search it"


def latest_file(folder: Path) -> str:
    """The latest JSON file among the first thousands in a folder and those below it, relative to it; else empty."""
    times: dict[str, float] = {}
    for path in islice(json_files(folder), MAX_FILES):
        with contextlib.suppress(OSError):
            times[path] = (folder / path).stat().st_mtime
    return max(times, key=lambda path: times[path], default="")
