"""Imports the files of users, once per process, and keeps the modules of one file apart from those of another."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import ModuleType

from torchduet.suites.files import finder
from torchduet.suites.files.refusals import reason
from torchduet.suites.files.search_path import folders_of, is_for_packages, package_of, place
from torchduet.suites.workload import SuiteError


@dataclass
class Loaded:
    """A user's file that is imported.

    Attributes:
        seconds: of the import.
        folders: from which it imports modules of its own.
        modules: name → module, of those, while another file's are in ``sys.modules``.
    """

    path: Path
    module: ModuleType
    seconds: float
    folders: tuple[str, ...]
    modules: dict[str, ModuleType] = field(default_factory=dict)


_loaded: dict[Path, Loaded] = {}
_active: Loaded | None = None  # the file whose modules are in sys.modules, and whose folders are in sys.path


def load_module(path: Path) -> ModuleType:
    """The module of a file, which is run unless this process has run it already.

    Until another file is loaded, modules beside this one are found by their names. Two files may each have a
    ``layers.py`` beside them.

    Raises:
        SuiteError: it cannot be imported; the message has the line and the reason.
    """
    global _active
    if path in _loaded:
        _activate(_loaded[path])
        return _loaded[path].module
    loaded = Loaded(path, ModuleType(path.stem), 0.0, folders_of(path))
    _activate(loaded)
    spec = finder.spec_of(finder.module_name(path))
    assert spec is not None
    loaded.module = importlib.util.module_from_spec(spec)
    names = [spec.name, *_own_names(path)]
    sys.modules.update(dict.fromkeys(names, loaded.module))
    start = perf_counter()
    try:
        assert spec.loader is not None
        spec.loader.exec_module(loaded.module)
    except KeyboardInterrupt:
        _forget(names, loaded.module)
        raise
    except BaseException as error:
        _forget(names, loaded.module)
        raise SuiteError(reason(error, path)) from error
    loaded.seconds = perf_counter() - start
    loaded.module = sys.modules.get(spec.name, loaded.module)
    _loaded[path] = loaded
    return loaded.module


def import_seconds(path: Path) -> float:
    """Seconds that this process took to import a file; 0 if it has not, or if it was forked from one that had."""
    return _loaded[path].seconds if path in _loaded else 0.0


def is_loaded(path: Path) -> bool:
    """Whether this process has the file's module already."""
    return path in _loaded


def forget_all() -> None:
    """Let this process import every file again; for tests."""
    global _active
    for loaded in _loaded.values():
        _forget([loaded.module.__name__], loaded.module)
    _loaded.clear()
    _active = None


def _activate(wanted: Loaded) -> None:
    """Let ``sys.path`` and ``sys.modules`` have what belongs to this file, and nothing of the others."""
    global _active
    if _active is wanted:
        return
    if _active is not None:
        _active.modules = {
            name: module
            for name, module in sys.modules.items()
            if (folder := _imported_from(name)) is not None and folder in _active.folders
        }
    place(wanted.folders, wanted.path)
    importlib.invalidate_caches()  # a module beside it may be younger than the listing of its folder
    others = {} if _active is None else _active.modules
    differing = {name for name in {name.partition(".")[0] for name in others} if not _is_found_again(name)}
    for name in others:
        if name.partition(".")[0] in differing:
            del sys.modules[name]
    for name, module in wanted.modules.items():
        sys.modules.setdefault(name, module)
    _active = wanted


def _is_found_again(name: str) -> bool:
    """Whether an import of a top-level module would find the file that ``sys.modules`` has it from.

    Then it is kept, such as a package that is installed from its sources in the project's root: torch must not be
    imported twice.
    """
    module = sys.modules[name]
    for other in sys.meta_path:
        spec = other.find_spec(name, None)
        if spec is not None:
            file = getattr(module, "__file__", None)
            return spec.origin == file if file else list(spec.submodule_search_locations or ()) == list(module.__path__)
    return False


def _imported_from(name: str) -> str | None:
    """The entry of ``sys.path`` that a module of the user came from; None for others."""
    if name.startswith(finder.PACKAGE):
        return None
    top = sys.modules.get(name.partition(".")[0])
    file = getattr(top, "__file__", None)
    if file is None:
        places = list(getattr(top, "__path__", None) or [])
        folder = Path(places[0]).parent if places and isinstance(places[0], str) else None
    else:
        folder = Path(file).parent.parent if Path(file).name == "__init__.py" else Path(file).parent
    return None if folder is None or is_for_packages(str(folder)) else str(folder)


def _own_names(path: Path) -> list[str]:
    """The names by which modules beside the file import it, so that they get this module and not a second copy."""
    package = package_of(path)
    name = f"{package}.{path.stem}" if package else path.stem
    if not path.stem.isidentifier() or name in sys.modules:
        return []
    try:
        spec = importlib.util.find_spec(path.stem) if not package else None
    except (ImportError, ValueError):
        return []
    return [name] if package or (spec is not None and spec.origin == str(path)) else []


def _forget(names: list[str], module: ModuleType) -> None:
    for name in names:
        if sys.modules.get(name) is module:
            del sys.modules[name]
