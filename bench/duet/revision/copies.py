"""Finds modules that are copies of the repository's own, installed elsewhere: both sides would import the same."""

from __future__ import annotations

import filecmp
import functools
import json
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, distributions
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from torchduet.bench.duet.revision.layout import COPIES
from torchduet.bench.duet.revision.reroot import Reroot

MIN_BYTES = 200  # of a file that is known by its contents: shorter ones may be equal by chance


class Copies:
    """The files of a repository by which a copy of one is known.

    Args:
        reroot: how this side imports.
    """

    def __init__(self, reroot: Reroot) -> None:
        self._reroot = reroot
        self._named: dict[str, list[str]] = {}  # name of a file → the files of that name, from the top
        for file in reroot.python_files:
            if not COPIES & set(Path(file).parts):
                self._named.setdefault(file.rpartition("/")[2], []).append(file)

    def original(self, name: str, module: ModuleType) -> Path | None:
        """The file of the repository that a module, which lies elsewhere, is a copy of; None if it is none.

        It is one if it is a top-level module of the repository by its name; if the repository has a file
        ``acme/one/layers.py`` and this is ``acme.one.layers``; or if a file of that name has the same contents.
        """
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            return None
        for inside in self._reroot.modules.get(name, ()):
            if Path(inside).name == Path(file).name:
                return Path(self._reroot.folder, inside)
        if "." not in name:
            return None
        path = name.replace(".", "/")
        tail = f"{path}/__init__.py" if Path(file).name == "__init__.py" else f"{path}.py"
        for inside in self._named.get(Path(file).name, ()):
            if f"/{inside}".endswith(f"/{tail}") or self._has_contents(file, inside):
                return Path(self._reroot.folder, inside)
        return None

    def _has_contents(self, file: str, inside: str) -> bool:
        """Whether a file has the contents of one of the repository, as it is or in the revision."""
        if Path(inside).name == "__init__.py":
            return False
        for root in dict.fromkeys((self._reroot.top, self._reroot.folder)):
            original = Path(root, inside)
            try:
                if original.stat().st_size >= MIN_BYTES and filecmp.cmp(file, original, shallow=False):
                    return True
            except OSError:
                continue
        return False


def is_installed_from(file: str, top: str) -> bool:
    """Whether a module's file was installed from a repository's folder, by the record of its installation.

    Of an editable installation only compiled modules count: it has others for its own work.
    """
    return file in _installed_files(top)


@functools.cache
def _installed_files(top: str) -> frozenset[str]:
    found = []
    for distribution in distributions():
        source, editable = _source_of(distribution)
        if source is not None and (source == Path(top) or Path(top) in source.parents):
            files = [str(distribution.locate_file(file)) for file in distribution.files or ()]
            found += [file for file in files if not editable or file.endswith(tuple(EXTENSION_SUFFIXES))]
    return frozenset(str(Path(file).resolve()) for file in found if file.endswith((".py", *EXTENSION_SUFFIXES)))


def _source_of(distribution: Distribution) -> tuple[Path | None, bool]:
    """The local folder or file that a package was installed from, and whether it is editable."""
    try:
        record = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(record["url"])
        editable = bool(record.get("dir_info", {}).get("editable"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, False
    return (Path(unquote(url.path)), editable) if url.scheme == "file" else (None, False)
