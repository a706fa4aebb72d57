"""Lets an interpreter import a repository's modules from the files of another revision, wherever it would find them.

It runs in every interpreter of that side, also in those that DataLoader or subprocess starts, before anything of the
user is imported: ``sitecustomize.py``, in the first folder of PYTHONPATH, calls :func:`start`. It uses the standard
library only, and nothing of Torchduet.

Whatever finds a module (``sys.path``, an entry of a ``.pth`` file, the finder of an editable installation, a namespace
package), the file that was found is replaced by the same file of the revision.
"""

# It runs for every import: texts are faster than paths.
# ruff: noqa: PTH100, PTH112, PTH113, PTH114, PTH118, PTH119, PTH120, PTH123, PTH206

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from types import ModuleType

VARIABLE = "TORCHDUET_REVISION"  # of the environment: a JSON file with what a Reroot is made from
OWN = "torchduet"  # this program is the same on both sides
INSTALLED = ("site-packages", "dist-packages")


@dataclass
class Reroot:
    """Where the modules of a repository are imported from, and which could not be.

    Attributes:
        top: the working tree; empty: nothing is moved, as on the side of the files as they are.
        folder: the revision's files, or the working tree.
        built: a folder with the package as it was built from the revision; empty: none was.
        modules: top-level module → its files in ``folder``, from there, as ``src/pkg/__init__.py``.
        refused: modules that the revision lacks although the working tree has them compiled, and why.
    """

    top: str
    folder: str
    built: str = ""
    modules: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def moved(self, path: str) -> str:
        """The path of the revision's file or folder in place of one of the working tree; others stay as they are."""
        relative = self.relative(path)
        return path if relative is None else os.path.join(self.folder, relative) if relative != "." else self.folder

    def moved_folder(self, entry: str) -> str:
        """An entry of ``sys.path`` in the revision; one that it lacks stays: the finder moves what is found there."""
        moved = entry and self.moved(entry)
        return moved if os.path.isdir(moved) else entry

    def relative(self, path: str) -> str | None:
        """The path from the top of the working tree; None for what lies elsewhere, or is installed there."""
        return self.within(path, self.top)

    @staticmethod
    def within(path: str, root: str) -> str | None:
        """The path from a root; None for what lies elsewhere, or in an environment of packages there."""
        if not root or not path:
            return None
        for form in (os.path.abspath(path), _without_links(path)):
            if form == root or form.startswith(root.rstrip(os.sep) + os.sep):
                relative = os.path.relpath(form, root)
                if any(part in INSTALLED for part in relative.split(os.sep)):
                    return None
                inside = (prefix for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix) if prefix != root)
                if any(_lies_in(prefix, root) and _lies_in(form, prefix) for prefix in inside):
                    return None
                return relative
        return None


@functools.lru_cache(maxsize=4096)
def _folder_without_links(folder: str) -> str:
    return os.path.realpath(folder)


def _without_links(path: str) -> str:
    """The real path of a file; folders are looked at once, as thousands of modules share them."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(_folder_without_links(folder), name)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class Finder:
    """The first finder of an interpreter: asks the others, and moves what they find."""

    def __init__(self, reroot: Reroot) -> None:
        self.reroot = reroot
        self._asking = threading.local()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module, with the revision's files.

        Raises:
            ModuleNotFoundError: the working tree has it, the revision does not.
        """
        asking: set[str] = self._asking.__dict__.setdefault("names", set())
        if name.partition(".")[0] == OWN or name in asking:
            return None
        asking.add(name)
        try:
            found = self._found(name, path, target)
        finally:
            asking.discard(name)
        if found is None:
            self._look_for_compiled(name, path)
            return None
        return self._moved(name, found)

    def _found(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _moved(self, name: str, spec: ModuleSpec) -> ModuleSpec:
        reroot = self.reroot
        places = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
        if spec.has_location and spec.origin and reroot.relative(spec.origin) is not None:
            return self._from_revision(name, spec.origin, package=places is not None)
        if places is None or all(reroot.relative(place) is None for place in places):
            return spec
        there = [place for place in map(reroot.moved, places) if os.path.isdir(place)]
        if not there:
            raise self._absent(name, places[0])
        spec.submodule_search_locations = there
        return spec

    def _from_revision(self, name: str, origin: str, *, package: bool) -> ModuleSpec:
        # The second: folders of links, as a strict editable installation makes them.
        candidates = [self.reroot.moved(origin), self.reroot.moved(os.path.realpath(origin))]
        # The third: a package that has been moved since. Submodules are looked for in their package.
        candidates += [os.path.join(self.reroot.folder, file) for file in self.reroot.modules.get(name, ())]
        for file in candidates:
            if os.path.isfile(file):
                places = [os.path.dirname(file)] if package or os.path.basename(file) == "__init__.py" else None
                spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
                if spec is not None:
                    return spec
        if origin.endswith(tuple(EXTENSION_SUFFIXES)):
            self._refuse(name, origin)
        raise self._absent(name, origin)

    def _absent(self, name: str, origin: str) -> ModuleNotFoundError:
        return ModuleNotFoundError(f"No module named {name!r} ({self.reroot.relative(origin)} is not there)", name=name)

    def _look_for_compiled(self, name: str, path: Sequence[str] | None) -> None:
        """Take note if the working tree has a compiled module of that name, which the revision's files lack."""
        for place in path or ():
            inside = Reroot.within(place, self.reroot.folder)
            if inside is None:
                continue
            stem = os.path.normpath(os.path.join(self.reroot.top, inside, name.rpartition(".")[2]))
            for suffix in EXTENSION_SUFFIXES:
                if os.path.isfile(stem + suffix):
                    self._refuse(name, stem + suffix)

    def _refuse(self, name: str, file: str) -> None:
        self.reroot.refused[name] = str(self.reroot.relative(file))


def start(reroot: Reroot | None = None) -> Reroot | None:
    """Move what this interpreter imports from now on, by the environment; returns None where it asks for nothing."""
    if reroot is None:
        file = os.environ.get(VARIABLE)
        if not file:
            return None
        with open(file, encoding="utf-8") as opened:
            reroot = Reroot(**json.load(opened))
    for finder in sys.meta_path:
        started: Reroot | None = getattr(finder, "reroot", None)  # of this class, or of sitecustomize's
        if started is not None:
            return started
    if reroot.top != reroot.folder:
        moved = [reroot.moved_folder(entry) for entry in sys.path]
        sys.path[:] = [reroot.built, *moved] if reroot.built else moved
        sys.path_importer_cache.clear()
        sys.meta_path.insert(0, Finder(reroot))
    return reroot


def chain(own: str) -> None:
    """Run the ``sitecustomize`` that this one hides, if there is one.

    Args:
        own: the folder of this one, which leaves ``sys.path``; children get it from PYTHONPATH.
    """
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != own]
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)
