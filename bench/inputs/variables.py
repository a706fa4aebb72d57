"""What a function reads beside its arguments, watched for changes by a call."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import pickle
import random
import types
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from torchduet.bench.inputs.contents import Held
from torchduet.bench.inputs.graph import is_atom, is_foreign, tensors_in, trained_in, walk
from torchduet.bench.inputs.memory import Geometry, has_storage, same_bytes
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

    They are compared by their pickles; objects that cannot be pickled, or not twice alike, are not watched. Placements
    compare and put back the values of the tensors that such an object holds, so that its pickle leaves them out.

    Args:
        ignored: positions of inputs whose contents do not matter to the next call.
    """

    def __init__(self, inputs: Sequence[Any], ignored: Container[int] = ()) -> None:
        self._watched = [
            (position, item, contents)
            for position, value in enumerate(inputs)
            if position not in ignored
            for item in walk(value, foreign=False)
            if is_foreign(item) and not type(item).__module__.startswith("torch")
            if (contents := OpaqueContents.of(item)) is not None and contents.equals(OpaqueContents.of(item))
        ]

    def note(self, names: Sequence[str]) -> str | None:
        """The note of a case whose call has changed such an input."""
        for position, item, contents in self._watched:
            if not contents.equals(OpaqueContents.of(item)):
                return (
                    f"repeated calls do different work: a call changes its input {names[position]}, and the contents "
                    f"of a {type(item).__name__} cannot be put back; pass fresh=True, which makes the inputs anew"
                )
        return None


@dataclass(frozen=True)
class OpaqueContents:
    """What an object of an installed package's class holds at a moment.

    Attributes:
        digest: of its pickle, in which a number stands for each of the tensors.
        tensors: those that placements compare, in the order of the pickle. What a training step changes is pickled,
            as placements do not compare it.
    """

    digest: bytes
    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, value: object) -> OpaqueContents | None:
        """The contents of a value at present; None if it cannot be pickled."""
        trained = trained_in(value)
        compared = [tensor for tensor in tensors_in(value) if has_storage(tensor) and id(tensor) not in trained]
        file = io.BytesIO()
        try:
            pickler = _PicklerWithoutTensors(file, compared)
            pickler.dump(value)
        except Exception as error:  # noqa: BLE001 - a class's own code may raise anything; it is not watched then
            print(f"an input of type {type(value).__name__} is not watched: {type(error).__name__}")
            return None
        return cls(hashlib.sha256(file.getbuffer()).digest(), tuple(pickler.found.values()))

    def equals(self, other: OpaqueContents | None) -> bool:
        """Whether both hold the same, be it in other tensors of the same values."""
        if other is None or self.digest != other.digest or len(self.tensors) != len(other.tensors):
            return False
        return all(
            mine is theirs or _are_equal(mine, theirs) for mine, theirs in zip(self.tensors, other.tensors, strict=True)
        )


class _PicklerWithoutTensors(pickle.Pickler):
    """Writes the number of a tensor instead of its values.

    Args:
        tensors: that are left out.

    Attributes:
        found: id of each that was left out → the tensor, in the order in which they were found.
    """

    def __init__(self, file: io.BytesIO, tensors: Sequence[Tensor]) -> None:
        super().__init__(file)
        self._left_out = {id(tensor) for tensor in tensors}
        self.found: dict[int, Tensor] = {}

    def persistent_id(self, value: Any) -> int | None:
        """The number of a tensor that is left out; None for what is pickled."""
        if id(value) not in self._left_out:
            return None
        self.found.setdefault(id(value), value)
        return list(self.found).index(id(value))


def _are_equal(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one storage each have the same values, layout, dtype and device."""
    if (tensor.dtype, tensor.device, Geometry.of(tensor)) != (other.dtype, other.device, Geometry.of(other)):
        return False
    return same_bytes(tensor.untyped_storage(), other.untyped_storage())


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
