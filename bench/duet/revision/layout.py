"""Where the packages of a repository lie, from the names of its files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

FOLDERS = ("src", "lib", "python")  # of a project, in which its packages may lie
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")
COPIES = frozenset(
    {"third_party", "third-party", "vendor", "vendored", "_vendor", "external", "extern", "node_modules"}
)
NO_PACKAGES = frozenset({"setup", "conftest", "noxfile", "test", "tests", "docs"})  # of names that are no one's own


def modules_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Top-level module → its files in a repository.

    They lie at the top, or in a folder with a ``pyproject.toml`` or a ``setup.py``, or in ``src`` there. Copies of
    other projects, such as those in ``third_party``, do not count.

    Args:
        names: of the files, from the top.
    """
    paths = [PurePosixPath(name) for name in names]
    projects = {path.parent for path in paths if path.name in PROJECT} | {PurePosixPath(".")}
    roots = projects | {project / folder for project in projects for folder in FOLDERS}
    found: dict[str, list[str]] = {}
    for path in paths:
        if path.suffix != ".py" or COPIES & set(path.parts):
            continue
        package = path.name == "__init__.py"
        root = path.parent.parent if package else path.parent
        module = path.parent.name if package else path.stem
        if module and root in roots and module not in NO_PACKAGES:
            found.setdefault(module, []).append(str(path))
    return found
