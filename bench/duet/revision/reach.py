"""Which files of the user's repository a workload's functions can reach: by what they name, and by what is imported.

The suite's own functions are followed name by name, so that two workloads of one file may reach different modules.
A module is followed as a whole, by every import statement in it. What is imported by a computed name, or reached
through an object that the program makes at run time, is not seen.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from torchduet.bench.duet.revision.imports import (
    absolute,
    files_of,
    imported_in,
    imports_of,
    modules_by_file,
    names_of,
)
from torchduet.bench.duet.revision.reroot import Reroot
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Workload


class Reach:
    """The files that the workloads of a suite's file can reach.

    Args:
        suite: the suite's module.
        root: of the repository.
    """

    def __init__(self, suite: ModuleType, root: Path) -> None:
        self._suite, self._root = suite, root
        self.unknown = False  # whether a function of the last workload cannot be followed
        self._file = str(Path(str(suite.__file__)).resolve())
        self._imports: dict[str, frozenset[str]] = {}  # file → files of the repository that it imports itself

    def of(self, workload: Workload) -> set[str]:
        """The files that a workload reaches, from the root of the repository; its suite's own file is one of them."""
        functions: list[object] = [workload.inputs, workload.observe, workload.cost, workload.call_seconds]
        functions += [workload.shard, workload.joint]
        for implementation in workload.implementations.values():
            functions += [implementation.function, implementation.bind]
        files: set[str] = {self._file}
        self.unknown = False
        for name in self._everywhere:
            self._take(name, files)
        functions += self._names(self._effects, files)
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
        if type(value).__module__.startswith("torch.jit"):
            self.unknown = True  # compiled: it does not say from which functions
        wrapped = [inner] if (inner := getattr(value, "__wrapped__", None)) is not None else []
        children = value.modules() if type(value).__module__.startswith("torch") and hasattr(value, "modules") else ()
        return [type(value), *wrapped, *(child for child in children if child is not value), *_state(value)]

    def _function(self, function: FunctionType, files: set[str]) -> list[object]:
        found: list[object] = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            found.append(wrapped)
        if function.__module__ != self._suite.__name__:
            self._take(str(function.__module__), files)  # a decorator of another module holds the function
            return found
        found += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        for name in imported_in(function.__code__, self._package):
            self._take(name, files)
        return found + self._names(names_of(function.__code__), files)

    def _class(self, value: type, files: set[str]) -> list[object]:
        if value.__module__ != self._suite.__name__:
            self._take(value.__module__, files)
            return []
        members = [inspect.unwrap(getattr(member, "__func__", member)) for member in vars(value).values()]
        getters = [member.fget for member in members if isinstance(member, property)]
        bases = [base for base in value.__bases__ if base is not object]
        kinds = (FunctionType, type, ModuleType, dict, list, tuple, partial)
        return [*(member for member in (*members, *getters) if isinstance(member, kinds)), *bases]

    @cached_property
    def _everywhere(self) -> list[str]:
        """The modules that every workload reaches: imports whose name nothing uses, as of one that registers itself."""
        found: list[str] = []
        used = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        used |= {ast.unparse(node) for node in ast.walk(self._tree) if isinstance(node, ast.Attribute)}
        for node in self._tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if (alias.asname or alias.name) not in used:
                        found.append(alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = absolute(node.module, node.level, self._package)
                found += [f"{base}.{alias.name}" for alias in node.names if (alias.asname or alias.name) not in used]
        return [name for name in found if name.partition(".")[0] != "__future__"]

    @cached_property
    def _effects(self) -> list[str]:
        """The names in calls that are made at the import for their effect, but for those of the suite's own methods."""
        found: list[str] = []
        for node in self._tree.body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                first = next((inner for inner in ast.walk(node.value.func) if isinstance(inner, ast.Name)), None)
                if first is None or not isinstance(vars(self._suite).get(first.id), Suite):
                    found += [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
        return found

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
                if hasattr(value, "__path__") and self._is_own(value):
                    for other in seen | set(waiting):  # pkg.layers, of a package that is named
                        self._take(f"{value.__name__}.{other}", files)
            elif value is not None:
                found.append(value)
            elif "." in name:
                self._take(name, files)  # import_module("pkg.layers")
        return found

    @cached_property
    def _modules(self) -> dict[str, str]:
        return modules_by_file()

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(Path(self._file).read_bytes())

    @property
    def _package(self) -> str:
        """The package of the suite's file, for relative imports."""
        return (self._suite.__spec__.parent or "") if self._suite.__spec__ is not None else ""

    @cached_property
    def _assigned(self) -> dict[str, list[str]]:
        """Global name → the names in the statements that assign it."""
        found: dict[str, list[str]] = {}
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
                continue
            named = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
            attributes = [inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)]
            for target in named:
                if isinstance(target.ctx, ast.Store):
                    found.setdefault(target.id, []).extend([*(name.id for name in named), *attributes])
        return found

    def _is_own(self, module: ModuleType) -> bool:
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
        return any(Reroot.within(str(place), str(self._root)) is not None for place in places)

    def _take(self, name: str, files: set[str]) -> None:
        """Take the files of a module of the repository, and all that it imports."""
        waiting = list(files_of(name))
        while waiting:
            file = waiting.pop()
            if not Path(file).is_absolute():
                continue  # modules of torch.ops have a name only
            file = str(Path(file).resolve())
            if file not in files and Reroot.within(file, str(self._root)) is not None:
                files.add(file)
                waiting += self._imports_of(file, name)

    def _imports_of(self, file: str, name: str) -> frozenset[str]:
        if file not in self._imports:
            own = self._modules.get(file, name)
            self._imports[file] = frozenset(found for imported in imports_of(file, own) for found in files_of(imported))
        return self._imports[file]


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
