"""Finds a user's file by the name of its module, in this process and in its children.

The name has a digest of the file's path. A child that multiprocessing starts has its parent's ``sys.path``, which holds
the file's folder: the file there whose path has that digest is the module. Nothing else must reach the child.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

from torchduet.suites.files.as_script import as_script
from torchduet.suites.files.search_path import package_of

PACKAGE = __name__.rpartition(".")[0]
DIGEST_LENGTH = 12

_known: dict[str, Path] = {}  # name of a module → its file


def module_name(path: Path) -> str:
    """The name of a file's module; the same in every process, and different for each file."""
    name = f"{PACKAGE}.{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{_digest(path)}"
    _known[name] = path
    return name


def spec_of(name: str) -> ModuleSpec | None:
    """How to import the file whose module has this name; None where no folder of ``sys.path`` has such a file."""
    path = _known.get(name) or _search(name)
    if path is None:
        return None
    spec = _Spec(name, _Loader(name, str(path)), origin=str(path))
    spec.has_location = True
    spec.parent_package = package_of(path)
    return spec


def install() -> None:
    """Let this process import the modules of users' files; a second call has no effect."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return spec_of(fullname) if fullname.startswith(f"{PACKAGE}.") else None


class _Loader(SourceFileLoader):
    """Runs the file as if it were started as a script without arguments."""

    def exec_module(self, module: ModuleType) -> None:
        with as_script(self.path):
            super().exec_module(module)


class _Spec(ModuleSpec):
    """A spec whose relative imports start from the package that the file lies in, not from this one."""

    parent_package = ""

    @property
    def parent(self) -> str:
        """What ``from . import layers`` means in the file."""
        return self.parent_package


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()[:DIGEST_LENGTH]


def _search(name: str) -> Path | None:
    digest = name[-DIGEST_LENGTH:]
    for folder in dict.fromkeys(Path(entry) for entry in sys.path):
        try:
            files = [path for path in folder.iterdir() if path.suffix == ".py"]
        except OSError:
            continue  # an archive, or a folder that does not exist
        for path in files:
            if _digest(path.resolve()) == digest:
                return path.resolve()
    return None
