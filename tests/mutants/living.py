"""Puts a fault into modules that are imported already; no file is written."""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

ROOT = Path(__file__).parents[2]
PLAIN = (int, float, str, tuple, list, dict, frozenset)  # what is compared by its words
Functions = dict[str, list[FunctionType]]


class NotApplied(Exception):
    """Nothing that lives in this process follows from the changed text."""


def functions() -> Functions:
    """Every function that lives now, by the file that it comes from."""
    gc.unfreeze()  # what is frozen is not listed
    found: Functions = {}
    for living in gc.get_objects():
        if type(living) is FunctionType:  # isinstance asks odd objects for their class
            found.setdefault(living.__code__.co_filename, []).append(living)
    return found


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The code of each function, and of the same function with the fault."""
    if old == new:
        return
    yield old, new
    before, after = ([part for part in code.co_consts if isinstance(part, CodeType)] for code in (old, new))
    if len(before) == len(after):
        for pair in zip(before, after, strict=True):
            yield from _pairs(*pair)


def put_in(path: str, source: str, tree: ast.Module, living: Functions) -> None:
    """Give the functions of a module the code with the fault; or its constants and defaults their changed values.

    Raises NotApplied, if nothing changes.
    """
    filename = str(ROOT / path)
    old, new = (compile(of, filename, "exec", dont_inherit=True) for of in (source, tree))
    changed = list(_pairs(old, new))[1:]  # the first is the module itself
    module = next((one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == filename), None)
    if module is None or old == new:
        raise NotApplied
    if not changed:
        if not _give_values(module, new):
            raise NotApplied
        return
    done = False
    for before, after in changed:
        for function in _with_code(before, living.get(filename, [])):
            try:
                function.__code__ = after
            except ValueError as error:  # a closure that holds other names
                raise NotApplied(str(error)) from None
            done = True
    if not done and not _give_values(module, new):  # a comprehension that gives a constant
        raise NotApplied


def _with_code(code: CodeType, living: list[FunctionType]) -> list[FunctionType]:
    """The functions that have it; pytest may have rewritten the assertions in theirs."""
    equal = [function for function in living if function.__code__ == code]
    place = (code.co_qualname, code.co_firstlineno)
    return equal or [one for one in living if (one.__code__.co_qualname, one.__code__.co_firstlineno) == place]


def _give_values(module: ModuleType, code: CodeType) -> bool:
    """Execute the changed module beside the old one, and take over what differs."""
    fresh = ModuleType(module.__name__)
    fresh.__dict__.update(__file__=module.__file__, __package__=module.__package__, __spec__=module.__spec__)
    sys.modules[module.__name__] = fresh  # dataclasses look their module up
    try:
        exec(code, fresh.__dict__)
    finally:
        sys.modules[module.__name__] = module
    done = False
    for name, value in vars(fresh).items():
        old = vars(module).get(name)
        if name.startswith("__") or isinstance(value, ModuleType) or getattr(value, "__module__", None) == "typing":
            continue
        if isinstance(value, type | FunctionType):
            if getattr(value, "__module__", None) == module.__name__ and old is not None:
                done |= _give_defaults(old, value)
        elif type(old) is type(value) and isinstance(value, PLAIN) and repr(old) != repr(value):
            done = True
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(name) is old:
                    setattr(other, name, value)
    return done


def _give_defaults(old: object, new: object) -> bool:
    """Defaults of functions, methods and fields."""
    done = False
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        for name in ("__defaults__", "__kwdefaults__"):
            if repr(getattr(old, name)) != repr(getattr(new, name)):
                setattr(old, name, getattr(new, name))
                done = True
    elif isinstance(old, type) and isinstance(new, type):
        for name, value in vars(new).items():
            before = vars(old).get(name)
            if isinstance(value, FunctionType):
                done |= _give_defaults(before, value)
            elif isinstance(value, int | float | tuple) and repr(before) != repr(value) and not name.startswith("__"):
                setattr(old, name, value)
                done = True
    return done
