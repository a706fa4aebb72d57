"""What code imports and names, read from its text or its bytecode; nothing is imported for that."""

from __future__ import annotations

import ast
import dis
import functools
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType

from torchduet.bench.files.regular import read_bytes


def names_of(code: CodeType) -> set[str]:
    """Every name that a function's code reads: globals, attributes, modules imported within it.

    Texts that may be names count, too: ``getattr(pkg, "layers")``.
    """
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= names_of(constant)
        elif isinstance(constant, str) and all(part.isidentifier() for part in constant.split(".")):
            names.add(constant)
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
    try:
        tree = ast.parse(read_bytes(path))
    except (OSError, SyntaxError, ValueError):
        return  # the import of such a file fails
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module, node.level, package)
            if base:
                yield base
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)


def files_of(name: str) -> Iterator[str]:
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


def modules_by_file() -> dict[str, str]:
    """File → name of the first module that this process has imported from it."""
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        if isinstance(file := getattr(module, "__file__", None), str):
            found.setdefault(str(Path(file).resolve()), name)
    return found
