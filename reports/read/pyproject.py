"""Finds and reads the ``pyproject.toml`` that settings of the reports are in, and one table of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from torchduet.bench.files.regular import read_bytes
from torchduet.bench.record.schema_check import shown

MAX_BYTES = 2**20


class PyprojectError(Exception):
    """Settings that cannot be used; the message is one line: the file and the key, what was expected."""


def working_folder() -> Path:
    """The working folder.

    Raises:
        PyprojectError: it was removed.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise PyprojectError(f"the working folder was removed ({error.strerror}); change to another") from None


def nearest_pyproject(folder: Path) -> Path | None:
    """The ``pyproject.toml`` of a folder, or of the nearest one above it."""
    folders = (folder, *folder.parents)
    return next((path for parent in folders if (path := parent / "pyproject.toml").is_file()), None)


def table_of(path: Path, name: str) -> dict[str, Any]:
    """A table of a ``pyproject.toml`` by its dotted name; empty where the file has none.

    Raises:
        PyprojectError: the file cannot be read or is no TOML, or something else has the table's name.
    """
    content = _toml(path)
    above = ""
    for key in name.split("."):
        content = content.get(key, {})
        above = f"{above}.{key}".lstrip(".")
        if not isinstance(content, dict):
            raise PyprojectError(f"{path}: {above}: expected a table, got {shown(content)}")
    return content


def _toml(path: Path) -> dict[str, Any]:
    try:
        content = read_bytes(path, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise PyprojectError(f"{path}: is larger than {MAX_BYTES // 2**20} MiB, which no settings need")
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise PyprojectError(f"{path}: cannot be read as TOML: it is nested too deeply") from None
    except OSError as error:
        raise PyprojectError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # beside what is no TOML: what is no UTF-8, and numbers of 5,000 digits
        raise PyprojectError(f"{path}: cannot be read as TOML: {error}") from None
