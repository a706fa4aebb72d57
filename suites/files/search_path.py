"""Which folders a user's file imports its own modules from, and their place in ``sys.path``."""

from __future__ import annotations

import site
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

REVISION_MARK = ".torchduet-revision"  # a file in the root of a git revision's files, which have no folder .git
MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git", REVISION_MARK)  # of a project's root
# What torch and Torchduet import: a user's file of such a name must not hide the package, in child processes neither.
NEEDED = (
    *("torch", "torchgen", "functorch", "triton", "numpy", "sympy", "mpmath", "networkx", "jinja2", "markupsafe"),
    *(
        "fsspec",
        "filelock",
        "typing_extensions",
        "setuptools",
        __name__.partition(".")[0],
        "pytest",
        "_pytest",
        "pluggy",
        "iniconfig",
    ),
    *("packaging", "pygments", "pytest_benchmark", "cpuinfo", "msgspec", "pandas", "dateutil", "matplotlib", "pynvml"),
)

_placed: list[str] = []  # entries of sys.path that were put there for a user's file


def folders_of(path: Path) -> tuple[str, ...]:
    """The folders from which a file imports: its own, that of its package, its project's root, and ``src`` there."""
    folder = path.parent
    found = [folder, package_root(path)]
    root = next(
        (parent for parent in (folder, *folder.parents) if any((parent / mark).exists() for mark in MARKS)), None
    )
    if root is not None:
        found += [root, root / "src"]
    return tuple(dict.fromkeys(str(place) for place in found if place.is_dir()))


def package_root(path: Path) -> Path:
    """The folder that holds the file's outermost package; the file's own folder if that is no package."""
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder


def package_of(path: Path) -> str:
    """The dotted name of the package that the file lies in; empty if its folder has no ``__init__.py``."""
    return ".".join(path.parent.relative_to(package_root(path)).parts)


def place(folders: Sequence[str], path: Path) -> None:
    """Put the folders of a file into ``sys.path``, and take those of another file out.

    They stand after the standard library, so that a file ``random.py`` hides nothing of it, and before the installed
    packages. A folder with a ``torch.py`` stands after these, too, as does that of a suite ``transformers.py`` where a
    package of that name is installed.
    """
    for entry in _placed:
        if entry in sys.path:
            sys.path.remove(entry)
    _placed[:] = [folder for folder in folders if folder not in sys.path]
    first = [folder for folder in _placed if not _hides_a_package(Path(folder), path)]
    position = next((index for index, entry in enumerate(sys.path) if is_for_packages(entry)), len(sys.path))
    sys.path[position:position] = first
    sys.path.extend(folder for folder in _placed if folder not in first)


def is_for_packages(entry: str) -> bool:
    """Whether an entry of ``sys.path`` holds installed packages."""
    return entry in _package_folders() or Path(entry).name in ("site-packages", "dist-packages")


@cache
def _package_folders() -> frozenset[str]:
    paths = sysconfig.get_paths()
    return frozenset({paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()})


def _hides_a_package(folder: Path, suite: Path) -> bool:
    """Whether modules of the folder would hide torch or what it needs, or the suite a package of the same name."""
    if any((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file() for name in NEEDED):
        return True
    return (
        folder == suite.parent and PathFinder.find_spec(suite.stem, list(filter(is_for_packages, sys.path))) is not None
    )
