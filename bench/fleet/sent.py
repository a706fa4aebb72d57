"""The code that is sent to the machines of a fleet: this package as it is here, and the user's suite files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torchduet
from torchduet.suites.files.search_path import folders_of
from torchduet.suites.registry import names

PARTS = ("bench", "suites", "reports")  # of this package, which lie elsewhere in a clone
# What is never sent of the user's folder, in the words of a .gitignore.
EXCLUDED = (".git", ".hg", ".svn", "__pycache__", ".venv*", "venv", ".tox", ".nox", ".mypy_cache", ".pytest_cache")


class SentError(ValueError):
    """Files that cannot be sent; the message names the option and says what to do."""


def package(folder: Path) -> Path:
    """Copy this package into a folder, in one piece wherever its parts are here; returns its folder."""
    target = folder / "torchduet"
    own = shutil.ignore_patterns("__pycache__", "*.pyc", *PARTS)
    shutil.copytree(Path(torchduet.__file__).parent, target, ignore=own)
    for name in PARTS:
        found = find_spec(f"{torchduet.__name__}.{name}")
        assert found is not None
        assert found.origin is not None
        compiled = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(Path(found.origin).parent, target / name, ignore=compiled)
    return target


def suite_folder(given: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder that holds all suite files and what they import, and the suites as they are named from there.

    Args:
        given: the values of ``--suite``.

    Raises:
        SentError: the files have no folder in common that could be sent.
    """
    files = [Path(os.path.abspath(name)) for name in given if name not in names()]  # noqa: PTH100 - links stay
    if not files:
        return None, list(given)
    folders = [folder for file in files for folder in (str(file.parent), *folders_of(file))]
    common = Path(os.path.commonpath(folders))
    if common == Path(common.anchor) or common == Path.home():
        raise SentError(
            f"--suite {given[0]}: the whole folder {common} would be sent to every machine; "
            "put the suite files into a folder of their own"
        )
    named = iter(files)
    return common, [name if name in names() else str(next(named).relative_to(common)) for name in given]
