"""Which files of the user's repository a side has imported, and whether they are the right ones."""

from __future__ import annotations

import filecmp
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torchduet.bench.duet.revision import reroot as reroot_module
from torchduet.bench.duet.revision.copies import Copies, is_installed_from
from torchduet.bench.duet.revision.reroot import OWN, Reroot
from torchduet.suites.files.finder import PACKAGE

MAX_NAMES = 50
BUILD = "--build builds it at that revision for this side"


def here() -> Reroot | None:
    """How this process imports the user's repository; None in a duet that is not against a revision."""
    module: Any = sys.modules.get("torchduet_revision", reroot_module)  # that of sitecustomize, if it has run
    found: Reroot | None = module.start()
    return found


def own_imports() -> dict[str, str]:
    """Top-level module of the user's repository → its file, from the root (``src/pkg/__init__.py``)."""
    reroot = here()
    return {} if reroot is None else imported(reroot)


def own_files() -> list[str]:
    """Every file of the user's repository that a module was imported from, from the root."""
    reroot = here()
    if reroot is None:
        return []
    files = (file for module in list(sys.modules.values()) for file in files_of(module))
    return sorted({inside for file in files if (inside := Reroot.within(file, reroot.folder)) is not None})


def refused_imports() -> str | None:
    """Why what this process has imported cannot be timed as its side; None if all of it is in order."""
    reroot = here()
    return None if reroot is None else refusal(reroot)


def imported(reroot: Reroot) -> dict[str, str]:
    """Top-level module of the user → its file, from the root of the repository."""
    found = {}
    for name, module in list(sys.modules.items()):
        if "." in name or name in (OWN, "__main__"):
            continue
        for file in files_of(module):
            relative = Reroot.within(file, reroot.folder)
            if relative is None and (folder := reroot.shared_folder(file)) is not None:
                relative = f"{folder}, which both sides share"
            if relative is None and reroot.built and reroot.within(file, reroot.built) is not None:
                relative = f"built: {os.path.relpath(file, reroot.built)}"
            if relative is not None:
                found[name] = relative
                break
    return dict(sorted(found.items())[:MAX_NAMES])


def files_of(module: ModuleType) -> Iterator[str]:
    """The file of a module, or the folders of a namespace package."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        yield file
        return
    for place in list(getattr(module, "__path__", None) or []):
        if isinstance(place, str):
            yield place


def refusal(reroot: Reroot) -> str | None:
    """Why what this side has imported cannot be timed as that side; None if all of it is in order.

    One line that names the module, its file, and what to do.
    """
    for name, file in reroot.refused.items():
        return f"{name} is compiled ({file}) and not part of the revision; {_build(reroot)}"
    copies = Copies(reroot)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in (OWN, "torchduet_revision") and not name.startswith(f"{PACKAGE}."):
            continue
        if name == "__main__" or name.startswith("__mp_main__"):
            continue
        if problem := _problem(reroot, copies, name, module):
            return problem
    return None


def _build(reroot: Reroot) -> str:
    return "--build does not change that" if reroot.built else BUILD


def _problem(reroot: Reroot, copies: Copies, name: str, module: ModuleType) -> str | None:
    files = list(files_of(module))
    if reroot.top != reroot.folder:
        for file in files:
            if reroot.relative(file) is not None and Reroot.within(file, reroot.folder) is None:
                return (
                    f"{name} was imported from the files as they are ({reroot.relative(file)}), so both sides would "
                    "time the same code; import it by its name, not by its path or when the interpreter starts"
                )
    if not files or any(_is_own(reroot, file) for file in files):
        return _missing_libraries(reroot, name, files)
    if getattr(module.__spec__, "name", name) != name or name.partition(".")[0] in sys.stdlib_module_names:
        return None  # the first: another module under a name in the package
    return _shared_part(reroot, name, files) or _shared(reroot, copies, name, module)


def _missing_libraries(reroot: Reroot, name: str, files: Sequence[str]) -> str | None:
    """A library beside a package that git ignores, so that the revision's package would do without it."""
    if "." in name or not reroot.compiled:
        return None
    for file in files:
        inside = Reroot.within(file, reroot.folder)
        package = None if inside is None else Path(inside).parent
        for library in reroot.compiled if package is not None and package.name else ():
            if package in Path(library).parents:
                return (
                    f"{name} has a compiled part that git ignores ({library}), which the revision lacks; {BUILD}; "
                    "remove it if it is not used"
                )
    return None


def _shared_part(reroot: Reroot, name: str, files: Sequence[str]) -> str | None:
    """A module of a package of the revision that lies outside of it, such as a compiled part that is installed."""
    package = sys.modules.get(name.partition(".")[0])
    of_package = getattr(package, "__file__", None)
    if "." not in name or reroot.top == reroot.folder or not isinstance(of_package, str):
        return None  # a namespace package may have parts elsewhere
    if not _is_own(reroot, of_package) or not Path(files[0]).is_absolute():
        return None
    return f"{name} comes from {files[0]}, which both sides share, and not from the revision; {_build(reroot)}"


def _is_own(reroot: Reroot, file: str) -> bool:
    in_build = bool(reroot.built) and Path(reroot.built) in Path(file).absolute().parents
    return in_build or Reroot.within(file, reroot.folder) is not None


def _shared(reroot: Reroot, copies: Copies, name: str, module: ModuleType) -> str | None:
    """A module of the repository that is installed as a copy: then a change of the repository's files is not timed."""
    original = copies.original(name, module)
    file = getattr(module, "__file__", None)
    if original is None and (not isinstance(file, str) or not is_installed_from(file, reroot.top)):
        return None
    where = f"{name} is imported from {file}, an installed copy"
    where += f", and not from {original}" if original is not None else f" of {reroot.top}"
    if reroot.top != reroot.folder:
        return f"{where}, so both sides would time the same code: pip install -e . (or {BUILD})"
    if not reroot.built:
        return f"{where}: pip install -e . (or --build, which times the copy as it is installed)"
    differing = None if original is None else _differing(module, original)
    return f"{where}, which differs from it in {differing}: pip install . again" if differing else None


def _differing(module: ModuleType, source: Path) -> str | None:
    """A Python file of an installed package that differs from the repository's; None if none does."""
    copied = Path(str(module.__file__))
    pairs = [(copied, source)]
    if source.name == "__init__.py":
        pairs = [
            (copied.parent / path.relative_to(source.parent), path) for path in sorted(source.parent.rglob("*.py"))
        ]
    for copy, original in pairs:
        if copy.is_file() and original.is_file() and not filecmp.cmp(copy, original, shallow=False):
            return str(original.relative_to(source.parent))
    return None
