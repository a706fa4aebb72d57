"""Makes functions of statements: what they read of a notebook's values and can change or move is their input."""

from __future__ import annotations

import ast
import builtins
import itertools
import keyword
import linecache
import re
import symtable
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchduet.sides import Side, Sides, SidesError

_numbers = itertools.count(1)


@dataclass(frozen=True)
class SideFunctions:
    """Functions with one list of parameters.

    Attributes:
        functions: name of a side → its function.
        inputs: name of a parameter → its value.
    """

    functions: Mapping[str, Callable[..., Any]]
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class _Names:
    """The names in a side: those that it reads from outside, and those that it assigns."""

    read: Sequence[str]
    assigned: frozenset[str]


def functions_of(sides: Sides, values: Mapping[str, Any]) -> SideFunctions:
    """Run the setup once in a copy of the values, and make a function of each side.

    Tensors, arrays, modules, containers and objects that hold tensors become parameters, so that they are inputs:
    copied into fresh memory, converted for the check, and put back. Functions, numbers and texts stay globals.

    Raises:
        SidesError: a name has no value, or a value is compiled already.
        Exception: whatever the setup raises.
    """
    namespace = {**values, "__name__": "__main__"}
    if sides.setup:
        exec(code_of(sides.setup, _filename("setup")), namespace)
    names = [_names(side.body) for side in sides.sides]
    for side, of in zip(sides.sides, names, strict=True):
        for name in of.read:
            _check_value(name, of, namespace, side)
    inputs = {
        name: namespace[name]
        for of in names
        for name in of.read
        if name in namespace and (name in of.assigned or is_input(namespace[name]))
    }
    functions = {
        side.name: _function(side, of, [*inputs], namespace) for side, of in zip(sides.sides, names, strict=True)
    }
    return SideFunctions(functions, inputs)


def is_input(value: Any) -> bool:
    """Whether a value may be changed or moved: a tensor, an array, a module, a container, or what holds tensors."""
    import numpy as np

    from torchduet.bench.inputs.graph import is_atom, tensors_in

    if is_atom(value) or _is_function(value):
        return False
    return isinstance(value, list | dict | set | tuple | bytearray | np.ndarray) or _has_any(tensors_in(value))


def _has_any(values: Iterator[Any]) -> bool:
    return next(values, None) is not None


def _is_function(value: Any) -> bool:
    return callable(value) and not hasattr(value, "parameters")


def _names(body: Sequence[ast.stmt]) -> _Names:
    """The names that statements read before or without assigning them, in the order of their appearance."""
    wrapped = ast.unparse(ast.Module([definition_of("side", [], body)], []))
    table = symtable.symtable(wrapped, "<duet>", "exec").get_children()[0]
    assigned = frozenset(symbol.get_name() for symbol in table.get_symbols() if symbol.is_local())
    found = [symbol.get_name() for symbol in _symbols(table) if symbol.is_global() and symbol.is_referenced()]
    order = [node.id for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name)]
    also_read = [name for name in _read_or_updated(body) if name in assigned]
    read = sorted(dict.fromkeys([*found, *also_read]), key=lambda name: order.index(name) if name in order else 0)
    return _Names(read, assigned)


def _symbols(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    yield from table.get_symbols()
    for child in table.get_children():
        yield from _symbols(child)


def _read_or_updated(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield node.id
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                yield node.target.id


def _check_value(name: str, of: _Names, namespace: Mapping[str, Any], side: Side) -> None:
    if name not in namespace:
        if name not in of.assigned and not hasattr(builtins, name):
            raise SidesError(f"name {name!r} is not defined, in {side.name!r}")
    elif "_orig_mod" in getattr(namespace[name], "_modules", {}):
        raise SidesError(
            f"{name!r} is a module that torch.compile has compiled: give the module itself, and -m eager,compile"
        )


def _function(side: Side, of: _Names, parameters: Sequence[str], namespace: Mapping[str, Any]) -> Callable[..., Any]:
    """A function of ``__main__`` whose source is found by tracebacks; it can be pickled by its code."""
    word = re.sub(r"\W+", "_", side.name).strip("_")[:30]
    name = word if word.isidentifier() and not keyword.iskeyword(word) else f"side_{word}"
    definition = definition_of(name, parameters, _returning(side.body))
    own = {each: namespace[each] for each in of.read if each in namespace and each not in parameters}
    scope: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins, **own}
    taken = scope.get(name)
    exec(code_of([definition], _filename(side.name)), scope)
    function: Callable[..., Any] = scope.pop(name)
    if name in own:
        scope[name] = taken
    return function


def definition_of(name: str, parameters: Sequence[str], body: Sequence[ast.stmt]) -> ast.FunctionDef:
    """The definition of a function with these statements."""
    empty: Any = ast.parse(f"def {name}({', '.join(parameters)}): pass").body[0]
    empty.body = list(body)
    assert isinstance(empty, ast.FunctionDef)
    return empty


def _returning(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements; the last one's value is the result: that of an expression, or of an assigned name."""
    last = body[-1]
    if isinstance(last, ast.Expr):
        return [*body[:-1], ast.Return(last.value)]
    targets = last.targets if isinstance(last, ast.Assign) else [last.target] if isinstance(last, ast.AugAssign) else []
    if not targets:
        return list(body)
    return [*body, ast.Return(ast.parse(ast.unparse(targets[0]), mode="eval").body)]


def _filename(name: str) -> str:
    return f"<duet {next(_numbers)}: {name}>"


def code_of(statements: Sequence[ast.stmt], filename: str) -> Any:
    """The compiled statements; their source is given to ``linecache``, so that a traceback shows it."""
    source = ast.unparse(ast.fix_missing_locations(ast.Module(list(statements), []))) + "\n"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return compile(source, filename, "exec")
