"""Finds the reports on single runs that lie beside them, so that a history can lead to them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

ALONE = "report.html"  # the name that ``nox -s bench`` and the documentation give the report on a folder's only run


def beside(folder: Path, paths: Sequence[str], page: Path) -> dict[str, str]:
    """Path of a run → address of its own report, as seen from the page; only of runs that have one.

    The report on ``nightly/0041.json`` is ``nightly/0041.html``, or ``report.html`` if there is no other run in
    that folder.

    Args:
        paths: of the runs, from the folder.
        page: the file that the addresses are for.
    """
    alone = Counter(Path(path).parent for path in paths)
    found = {}
    for path in paths:
        run = folder / path
        names = [run.with_suffix(".html"), *([run.parent / ALONE] if alone[Path(path).parent] == 1 else [])]
        report = next((name for name in names if _is_report(name, page)), None)
        if report is not None and (address := _address(report, page)):
            found[path] = address
    return found


def _is_report(path: Path, page: Path) -> bool:
    try:
        return path.is_file() and path.resolve() != page.resolve()
    except OSError:
        return False


def _address(report: Path, page: Path) -> str:
    """The relative address; empty where there is none, as on another drive, or for a name that is not UTF-8."""
    try:
        relative = os.path.relpath(report.resolve(), page.resolve().parent)
        return quote(Path(relative).as_posix())
    except (ValueError, UnicodeEncodeError):
        return ""
