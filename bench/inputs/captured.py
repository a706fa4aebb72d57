"""What functions read beside their arguments, such as a closure's tensors, and copies that read other values."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torchduet.bench.inputs.graph import is_atom, is_foreign, tensors_in

CONTAINERS = (list, dict, set, deque, bytearray)
FUNCTIONS = (types.FunctionType, functools.partial, types.MethodType)


class Captured:
    """The values that functions read beside their arguments and that can be moved or changed.

    Found in enclosing functions, globals, default values, bound arguments and bound objects; also of the functions of
    the same module that they call. They are tensors, whatever holds tensors, and containers and objects of users.

    Attributes:
        functions: those that are copied: of the program, and not of installed packages.
        names: of the values, for notes.
        values: each once.
        modules: names of the modules that the functions use.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        self.names: tuple[str, ...] = ()
        self.values: tuple[Any, ...] = ()
        self.modules: set[str] = set()
        self.functions: list[types.FunctionType] = []
        found: dict[int, tuple[str, Any]] = {}
        pending, seen = deque[Any](functions), dict[int, Any]()
        while pending:
            present = pending.popleft()
            if id(present) in seen:
                continue
            seen[id(present)] = present
            if isinstance(present, types.FunctionType) and not is_installed(sys.modules.get(present.__module__ or "")):
                self.functions.append(present)
            for name, value in _read_by(present):
                if isinstance(value, types.ModuleType):
                    self.modules.add(value.__name__)
                elif isinstance(value, (*FUNCTIONS, type)) and getattr(value, "__module__", None):
                    self.modules.add(str(value.__module__))
                if isinstance(value, FUNCTIONS):
                    if _is_beside(value, present):
                        pending.append(value)
                elif _can_change(value):
                    found.setdefault(id(value), (name, value))
        for name, value in found.values():
            self.names += (name if name not in self.names else f"{name} ({len(self.names)})",)
            self.values += (value,)

    def bind(self, function: Callable[..., Any], values: Sequence[Any]) -> Callable[..., Any]:
        """A copy of one of the functions that reads these values instead of :attr:`values`.

        It runs the same code as fast: cells and globals are replaced, and nothing is added to a call. What it writes to
        globals and enclosing variables stays in the copy. Functions of installed packages are not copied.
        """
        rebound = _Rebound(self.functions, dict(zip(map(id, self.values), values, strict=True)))
        copied: Callable[..., Any] = rebound(function)
        return copied


class _Rebound:
    """Copies of functions that read other values, and each other.

    Args:
        values: id of a value → what is read instead.
    """

    def __init__(self, functions: Sequence[types.FunctionType], values: dict[int, Any]) -> None:
        self._values = values
        self._cells: dict[int, types.CellType] = {}
        self._globals: dict[int, dict[str, Any]] = {}
        self._copies: dict[int, types.FunctionType] = {}
        for function in functions:
            self._copies[id(function)] = self._copy(function)
        for function in functions:
            self._fill(function)

    def __call__(self, value: Any) -> Any:
        """What is read instead of a value: itself where nothing changes."""
        if id(value) in self._values:
            return self._values[id(value)]
        if id(value) in self._copies:
            return self._copies[id(value)]
        if isinstance(value, functools.partial):
            keywords = {name: self(item) for name, item in value.keywords.items()}
            return functools.partial(self(value.func), *map(self, value.args), **keywords)
        if isinstance(value, types.MethodType):
            return types.MethodType(self(value.__func__), self(value.__self__))
        return value

    def _copy(self, function: types.FunctionType) -> types.FunctionType:
        cells = tuple(self._cells.setdefault(id(cell), types.CellType()) for cell in function.__closure__ or ())
        own = self._globals.setdefault(id(function.__globals__), dict(function.__globals__))
        copied = types.FunctionType(function.__code__, own, function.__name__, None, cells or None)
        functools.update_wrapper(copied, function)
        copied.__dict__ = dict(vars(function))  # without a __wrapped__ that is not its own
        return copied

    def _fill(self, function: types.FunctionType) -> None:
        """Give the copy of a function what it reads."""
        copied = self._copies[id(function)]
        copied.__defaults__ = None if function.__defaults__ is None else tuple(map(self, function.__defaults__))
        if function.__kwdefaults__ is not None:
            copied.__kwdefaults__ = {name: self(value) for name, value in function.__kwdefaults__.items()}
        for cell, own in zip(function.__closure__ or (), copied.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # it has no value yet
                own.cell_contents = self(cell.cell_contents)
        for name in _globals_of(function.__code__):
            if name in function.__globals__:
                copied.__globals__[name] = self(function.__globals__[name])


def _read_by(function: Any) -> Iterator[tuple[str, Any]]:
    """Name → value of what a function reads directly."""
    if isinstance(function, functools.partial):
        yield "function", function.func
        yield from ((f"bound argument {number + 1}", value) for number, value in enumerate(function.args))
        yield from function.keywords.items()
    elif isinstance(function, types.MethodType):
        yield "function", function.__func__
        yield "self", function.__self__
    elif isinstance(function, types.FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # it has no value yet
                yield name, cell.cell_contents
        for name in _globals_of(function.__code__):
            if name in function.__globals__:
                yield name, function.__globals__[name]
        count = len(function.__defaults__ or ())
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        yield from zip(parameters[len(parameters) - count :], function.__defaults__ or (), strict=True)
        yield from (function.__kwdefaults__ or {}).items()
    else:
        yield type(function).__name__, function


def _globals_of(code: types.CodeType) -> dict[str, None]:
    """The global names that code may read, and code within it, such as a lambda's."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _globals_of(constant)
    return names


def _is_beside(function: Any, reader: Any) -> bool:
    """Whether a function that another one reads belongs to the same module; installed packages' are left alone."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(reader, functools.partial | types.MethodType):
        return True
    return getattr(function, "__module__", None) in ("__main__", getattr(reader, "__module__", None))


def _can_change(value: Any) -> bool:
    if is_atom(value):
        return False
    if isinstance(value, CONTAINERS):
        return True
    if any(True for _ in tensors_in(value)):
        return True
    own = type(value).__module__.partition(".")[0] not in ("torch", "torchduet", "numpy", "builtins")
    return hasattr(value, "__dict__") and not is_foreign(value) and own


def is_installed(module: types.ModuleType | None) -> bool:
    """Whether a module belongs to the standard library or an installed package, or is built in."""
    if module is None:
        return False
    root = module.__name__.partition(".")[0]
    file = getattr(module, "__file__", None) or ""
    if root == "__main__":
        return False
    if root in sys.stdlib_module_names or root in sys.builtin_module_names or not file:
        return True
    return "site-packages" in file or "dist-packages" in file or root in ("torch", "torchduet")
