"""What a function reads beside its arguments, watched for changes by a call."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pickle
import random
import types
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from torchduet.bench.inputs.contents import Held
from torchduet.bench.inputs.graph import is_atom, is_foreign, tensors_in, walk
from torchduet.bench.inputs.memory import has_storage
from torchduet.bench.inputs.placements import Placements

MAX_WATCHED_BYTES = 64 << 20


def variables_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Name → value of what a function reads beside its arguments: globals of its file, and enclosing variables.

    Those of functions of the same file that it names are included. Functions, modules and classes are left out.
    """
    variables: dict[str, Any] = {}
    pending, seen = [_plain(function)], set[int]()
    while pending:
        present = pending.pop()
        if not isinstance(present, types.FunctionType) or id(present) in seen:
            continue
        seen.add(id(present))
        named = {name: present.__globals__[name] for name in present.__code__.co_names if name in present.__globals__}
        for name, cell in zip(present.__code__.co_freevars, present.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # it has no value yet
                named[name] = cell.cell_contents
        for name, value in named.items():
            if isinstance(value, types.FunctionType):
                if value.__module__ == present.__module__:
                    pending.append(value)
            elif not is_atom(value) and not is_foreign(value):
                variables[name] = value
    return variables


def _plain(function: Any) -> Any:
    while isinstance(function, functools.partial | types.MethodType):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    return function


def _is_harmless(held: Held) -> bool:
    return replace(held, attribute=True).only_filled() or held.only_counted()


class Opaque:
    """Watches inputs of installed packages' classes, such as a table, whose contents cannot be put back.

    They are compared by their pickles; objects that cannot be pickled, or not twice alike, are not watched.

    Args:
        ignored: positions of inputs whose contents do not matter to the next call.
    """

    def __init__(self, inputs: Sequence[Any], ignored: Container[int] = ()) -> None:
        self._watched = [
            (position, item, digest)
            for position, value in enumerate(inputs)
            if position not in ignored
            for item in walk(value, foreign=False)
            if is_foreign(item) and not type(item).__module__.startswith("torch")
            if (digest := _digest(item)) is not None and digest == _digest(item)
        ]

    def note(self, names: Sequence[str]) -> str | None:
        """The note of a case whose call has changed such an input."""
        for position, item, digest in self._watched:
            if _digest(item) != digest:
                return (
                    f"repeated calls do different work: a call changes its input {names[position]}, and the contents "
                    f"of a {type(item).__name__} cannot be put back; pass fresh=True, which makes the inputs anew"
                )
        return None


def _digest(value: object) -> bytes | None:
    try:
        return hashlib.sha256(pickle.dumps(value)).digest()
    except Exception as error:  # noqa: BLE001 - a class's own code may raise anything; it is not watched then
        print(f"an input of type {type(value).__name__} is not watched: {type(error).__name__}")
        return None


class Variables:
    """Watches what a case's function reads beside its arguments during its first call.

    Tensors and arrays of more than 64 MiB together are not watched, as they would have to be copied.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any]) -> None:
        known = {id(item) for item in walk(*inputs)}
        self.names, values = [], []
        for name, value in variables_of(function).items():
            if id(value) not in known:
                self.names.append(name)
                values.append(value)
        arrays = [value for value in walk(values) if isinstance(value, np.ndarray)]
        tensors = [tensor for tensor in tensors_in(values) if has_storage(tensor)]
        size = sum(array.nbytes for array in arrays) + sum(tensor.nbytes for tensor in tensors)
        self._placements = None if size > MAX_WATCHED_BYTES else Placements(values, random.Random(0))

    def note(self) -> str | None:
        """The note of a case whose call has changed such a variable, which is not put back.

        Counters, and what is computed once and kept, are no such changes.
        """
        changes = self._placements.changes(harmless=_is_harmless) if self._placements is not None else None
        if not changes:
            return None
        return (
            f"repeated calls may do different work: a call changes {changes.words(self.names)}, which is no input "
            "and is not put back; return it from inputs="
        )
