"""Which files of the user's repository a workload's functions can reach: by what they name, and by what is imported.

The suite's own functions are followed name by name, so that two workloads of one file may reach different modules.
A module is followed as a whole, by every import statement in it. What is imported by a computed name, or reached
through an object that the program makes at run time, is not seen.
"""

from __future__ import annotations

import ast
import dis
import functools
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torchduet.bench.duet.revision.reroot import Reroot
from torchduet.suites.workload import Workload


class Reach:
    """The files that the workloads of a suite's file can reach.

    Args:
        suite: the suite's module.
        root: of the repository.
    """

    def __init__(self, suite: ModuleType, root: Path) -> None:
        self._suite, self._root = suite, root
        self._file = str(Path(str(suite.__file__)).resolve())
        self._imports: dict[str, frozenset[str]] = {}  # file → files of the repository that it imports itself

    def of(self, workload: Workload) -> set[str]:
        """The files that a workload reaches, from the root of the repository; its suite's own file is one of them."""
        functions: list[object] = [workload.inputs, workload.observe, workload.cost, workload.call_seconds]
        for implementation in workload.implementations.values():
            functions += [implementation.function, implementation.bind]
        files: set[str] = {self._file}
        seen: set[int] = set()
        waiting = [value for value in functions if value is not None]
        while waiting:
            value = waiting.pop()
            if id(value) not in seen:
                seen.add(id(value))
                waiting += self._named_by(value, files)
        return {relative for file in files if (relative := Reroot.within(file, str(self._root))) is not None}

    def _named_by(self, value: Any, files: set[str]) -> list[object]:
        """What an object of the suite's file names; of an object of another module, all files of that are taken."""
        if isinstance(value, ModuleType):
            self._take(value.__name__, files)
            return []
        if isinstance(value, partial):
            return [value.func, *value.args, *value.keywords.values()]
        if isinstance(value, MethodType):
            return [value.__func__, value.__self__]
        if isinstance(value, FunctionType):
            return self._function(value, files)
        if isinstance(value, type):
            return self._class(value, files)
        if isinstance(value, list | tuple | set | frozenset):
            return list(value)
        if isinstance(value, dict):
            return list(value.values())
        wrapped = [inner] if (inner := getattr(value, "__wrapped__", None)) is not None else []
        children = value.modules() if type(value).__module__.startswith("torch") and hasattr(value, "modules") else ()
        return [type(value), *wrapped, *(child for child in children if child is not value), *_state(value)]

    def _function(self, function: FunctionType, files: set[str]) -> list[object]:
        if function.__module__ != self._suite.__name__:
            self._take(function.__module__, files)
            return []
        found: list[object] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        found += [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            found.append(wrapped)
        for name in imported_in(function.__code__, self._suite.__spec__.parent if self._suite.__spec__ else ""):
            self._take(name, files)
        return found + self._names(names_of(function.__code__), files)

    def _class(self, value: type, files: set[str]) -> list[object]:
        if value.__module__ != self._suite.__name__:
            self._take(value.__module__, files)
            return []
        members = [inspect.unwrap(getattr(member, "__func__", member)) for member in vars(value).values()]
        getters = [member.fget for member in members if isinstance(member, property)]
        bases = [base for base in value.__bases__ if base is not object]
        return [*(member for member in (*members, *getters) if isinstance(member, FunctionType | type)), *bases]

    def _names(self, names: Iterable[str], files: set[str]) -> list[object]:
        """The values of global names of the suite's file, and of what their assignments name."""
        waiting, seen = list(names), set()
        found: list[object] = []
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            waiting += self._assigned.get(name, ())
            value = vars(self._suite).get(name)
            if isinstance(value, ModuleType):
                self._take(value.__name__, files)
                for other in seen | set(waiting):  # pkg.layers, of a package that is named
                    self._take(f"{value.__name__}.{other}", files, known=True)
            elif value is not None:
                found.append(value)
        return found

    @cached_property
    def _assigned(self) -> dict[str, list[str]]:
        """Global name → the names in the statements that assign it."""
        found: dict[str, list[str]] = {}
        for node in ast.parse(Path(self._file).read_text("utf-8-sig")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
                continue
            named = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
            attributes = [inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)]
            for target in named:
                if isinstance(target.ctx, ast.Store):
                    found.setdefault(target.id, []).extend([*(name.id for name in named), *attributes])
        return found

    def _take(self, name: str, files: set[str], *, known: bool = False) -> None:
        """Take the files of a module of the repository, and all that it imports.

        Args:
            known: only if it is imported already.
        """
        if known and name not in sys.modules:
            return
        waiting = list(_files_of(name))
        while waiting:
            file = str(Path(waiting.pop()).resolve())
            if file not in files and Reroot.within(file, str(self._root)) is not None:
                files.add(file)
                waiting += self._imports_of(file, name)

    def _imports_of(self, file: str, name: str) -> frozenset[str]:
        if file not in self._imports:
            own = next((module for module, at in _modules_by_file().items() if at == file), name)
            self._imports[file] = frozenset(
                found for imported in imports_of(file, own) for found in _files_of(imported)
            )
        return self._imports[file]


def names_of(code: CodeType) -> set[str]:
    """Every name that a function's code reads: globals, attributes, modules imported within it."""
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= names_of(constant)
    return names


def imported_in(code: CodeType, package: str | None) -> Iterator[str]:
    """The modules that a function's code imports: by their names, whatever else they may be names of.

    Args:
        package: of the function's module, for relative imports.
    """
    stack: list[object] = []
    base = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_CONST":
            stack.append(instruction.argval)
        elif instruction.opname == "IMPORT_NAME":
            level = stack[-2] if len(stack) > 1 and isinstance(stack[-2], int) else 0
            base = absolute(instruction.argval, level, package or "")
            yield base
        elif instruction.opname == "IMPORT_FROM":
            yield f"{base}.{instruction.argval}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from imported_in(constant, package)


def absolute(name: str | None, level: int, package: str) -> str:
    """The name of a module that is imported relative to a package."""
    parts = package.split(".")
    parent = parts[: len(parts) - level + 1] if level else []
    return ".".join([*parent, *([name] if name else [])])


def imports_of(file: str, own: str) -> Iterator[str]:
    """The modules that the import statements of a file name, wherever they stand in it.

    Args:
        own: the module's name, for relative imports.
    """
    path = Path(file)
    if path.suffix != ".py":
        return
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8-sig"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module, node.level, package)
            if base:
                yield base
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def _files_of(name: str) -> Iterator[str]:
    """The file of a module, and of every package that it lies in; none of a name that is no module."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        file = _file_of(".".join(parts[:length]))
        if file is not None:
            yield file


def _file_of(name: str) -> str | None:
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None)
    spec = _spec_of(name)
    return spec.origin if spec is not None and spec.has_location else None


@functools.cache
def _spec_of(name: str) -> ModuleSpec | None:
    """How a module would be imported, without importing the packages around it."""
    parent = name.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(name)
        around = sys.modules.get(parent)
        places = getattr(around, "__path__", None) if around is not None else None
        if around is None and (spec := _spec_of(parent)) is not None:
            places = spec.submodule_search_locations
        return None if places is None else PathFinder.find_spec(name, list(places))
    except (ImportError, AttributeError, ValueError):
        return None


def _modules_by_file() -> dict[str, str]:
    return {
        name: str(Path(file).resolve())
        for name, module in list(sys.modules.items())
        if isinstance(file := getattr(module, "__file__", None), str)
    }


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _state(value: object) -> list[object]:
    """What an object of a user's class holds."""
    if type(value).__module__.partition(".")[0] in ("builtins", "torch") or not hasattr(value, "__dict__"):
        return []
    return list(vars(value).values())
