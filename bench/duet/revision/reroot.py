"""Lets an interpreter import a repository's modules from the files of another revision, wherever it would find them.

It runs in every interpreter of that side, also in those that DataLoader or subprocess starts, before anything of the
user is imported: ``sitecustomize.py``, in the first folder of PYTHONPATH, calls :func:`start`. It uses the standard
library only, and nothing of Torchduet.

Whatever finds a module (``sys.path``, an entry of a ``.pth`` file, the finder of an editable installation, a namespace
package), the file that was found is replaced by the same file of the revision.
"""

# It runs for every import: texts are faster than paths.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH114, PTH118, PTH119, PTH120, PTH123, PTH206

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, PathFinder, SourceFileLoader
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
        python_files: all Python files in ``folder``, from there.
        shared: folders in the working tree that are not part of its repository: other repositories, and what git
            ignores; both sides import from there.
        compiled: libraries in the working tree that git ignores, from there, which the revision's files lack.
        refused: modules that the revision lacks although the working tree has them compiled, and why.
    """

    top: str
    folder: str
    built: str = ""
    modules: dict[str, list[str]] = field(default_factory=dict)
    python_files: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    compiled: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def moved(self, path: str) -> str:
        """The path of the revision's file or folder in place of one of the working tree; others stay as they are."""
        relative = self.relative(path)
        return path if relative is None else os.path.join(self.folder, relative) if relative != "." else self.folder

    def moved_folder(self, entry: str) -> str:
        """An entry of ``sys.path`` in the revision; one that it lacks stays: the finder moves what is found there."""
        moved = entry and self.moved(entry)
        return moved if os.path.isdir(moved) else entry

    def namespaces(self, name: str) -> list[str]:
        """Folders of the revision that a namespace package of that name may have, by where its packages lie."""
        ends = os.path.join(*name.split("."))
        roots = {os.path.dirname(os.path.dirname(file)) for files in self.modules.values() for file in files}
        places = (os.path.join(self.folder, root, ends) for root in sorted({*roots, "", "src"}))
        return [place for place in places if os.path.isdir(place)]

    def relative(self, path: str) -> str | None:
        """The path from the top of the working tree; None for what lies elsewhere, or is not of its repository."""
        return self.within(path, self.top, self.shared)

    def shared_folder(self, path: str) -> str | None:
        """The folder of the working tree that a file lies in, if that is not part of its repository."""
        relative = self.within(path, self.top)
        if relative is None or self.relative(path) is not None:
            return None
        return next((folder for folder in self.shared if _lies_in(relative, folder)), None)

    @staticmethod
    def within(path: str, root: str, apart: Sequence[str] = ()) -> str | None:
        """The path from a root; None for what lies elsewhere, or in an environment of packages there.

        Args:
            apart: folders in the root that do not count.
        """
        if not root or not path:
            return None
        for form in (os.path.abspath(path), _without_links(path)):
            if _lies_in(form, root):
                relative = os.path.relpath(form, root)
                prefixes = (prefix for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix) if prefix != root)
                if (
                    not any(part in INSTALLED for part in relative.split(os.sep))
                    and not any(_lies_in(prefix, root) and _lies_in(form, prefix) for prefix in prefixes)
                    and not any(_lies_in(relative, folder) for folder in apart)
                ):
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
            # What was built comes before a finder that would come first, as some editable installations have.
            built = PathFinder.find_spec(name, [self.reroot.built]) if self.reroot.built and path is None else None
            found = built or self._found(name, path, target)
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
            return self._from_revision(name, spec, package=places is not None)
        if spec.origin and spec.origin.endswith(tuple(EXTENSION_SUFFIXES)) and self._is_built_there(spec.origin):
            self._refuse(name, spec.origin)
        if places is None or all(reroot.relative(place) is None for place in places):
            return spec
        there = [place for place in map(reroot.moved, places) if os.path.isdir(place)]
        there += [place for place in reroot.namespaces(name) if place not in there]
        if not there:
            raise self._absent(name, places[0])
        spec.submodule_search_locations = there
        return spec

    def _is_built_there(self, origin: str) -> bool:
        """Whether a compiled module lies in a folder of the working tree that git ignores, and in no repository."""
        folder = self.reroot.shared_folder(origin)
        if folder is None:
            return False
        end, above = os.path.join(self.reroot.top, folder), os.path.dirname(os.path.abspath(origin))
        while _lies_in(above, end):
            if os.path.exists(os.path.join(above, ".git")):
                return False
            above = os.path.dirname(above)
        return True

    def _from_revision(self, name: str, found: ModuleSpec, *, package: bool) -> ModuleSpec:
        origin = str(found.origin)
        # The second: folders of links, as a strict editable installation makes them.
        candidates = [self.reroot.moved(origin), self.reroot.moved(os.path.realpath(origin))]
        # The third: a package that has been moved since. Submodules are looked for in their package.
        candidates += [os.path.join(self.reroot.folder, file) for file in self.reroot.modules.get(name, ())]
        for file in candidates:
            if os.path.isfile(file):
                places = [os.path.dirname(file)] if package or os.path.basename(file) == "__init__.py" else None
                # A loader of one's own kind may rewrite what it loads.
                loader = (
                    type(found.loader)(name, file)
                    if isinstance(found.loader, SourceFileLoader | ExtensionFileLoader)
                    else None
                )
                spec = importlib.util.spec_from_file_location(
                    name, file, loader=loader, submodule_search_locations=places
                )
                if spec is not None:
                    return spec
        if origin.endswith(tuple(EXTENSION_SUFFIXES)):
            self._refuse(name, origin)
        raise self._absent(name, origin)

    def _absent(self, name: str, origin: str) -> ModuleNotFoundError:
        return ModuleNotFoundError(f"No module named {name!r} ({self.reroot.relative(origin)} is not there)", name=name)

    def _look_for_compiled(self, name: str, path: Sequence[str] | None) -> None:
        """Take note if the working tree has a compiled module of that name, which the revision's files lack."""
        for place in sys.path if path is None else path:
            inside = Reroot.within(place or os.curdir, self.reroot.folder)
            if inside is None:
                continue
            stem = os.path.normpath(os.path.join(self.reroot.top, inside, name.rpartition(".")[2]))
            for suffix in EXTENSION_SUFFIXES:
                if os.path.isfile(stem + suffix):
                    self._refuse(name, stem + suffix)

    def _refuse(self, name: str, file: str) -> None:
        self.reroot.refused[name] = os.path.relpath(file, self.reroot.top)


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
