"""What containers, arrays and objects hold at a moment, and how it is put back: everything but tensors' memory."""

from __future__ import annotations

import array
import io
import operator
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from torchduet.bench.inputs.graph import ATOMS, GENERATORS, attributes, is_foreign, walk

UNSET = object()


def same(value: object, other: object) -> bool:
    """Whether two items are one object, or equal numbers or strings."""
    if value is other:
        return True
    if type(value) is not type(other) or type(value) not in ATOMS:
        return False
    return bool(value == other) or (value != value and other != other)


def all_same(values: Iterable[object], others: Iterable[object]) -> bool:
    """Whether two sequences of equal length hold the same items."""
    values, others = list(values), list(others)
    return len(values) == len(others) and (all(map(operator.is_, values, others)) or all(map(same, values, others)))


@dataclass(frozen=True)
class Kind:
    """How the contents of one kind of object are taken, compared and put back."""

    take: Callable[[Any], Any]
    unchanged: Callable[[Any, Any], bool]
    put: Callable[[Any, Any], None]


def _put_items(value: Any, items: Any) -> None:
    value[:] = items


def _put_all(value: Any, items: Any) -> None:
    value.clear()
    (value.extend if isinstance(value, deque) else value.update)(items)


def _put_mapping(value: dict[Any, Any], items: dict[Any, Any]) -> None:
    kind = OrderedDict if isinstance(value, OrderedDict) else dict  # a subclass may refuse to be emptied
    kind.clear(value)
    kind.update(value, items)


def _same_mapping(value: Any, items: dict[Any, Any]) -> bool:
    return all_same(value.keys(), items.keys()) and all_same(value.values(), items.values())


def _put_array(value: np.ndarray[Any, Any], items: np.ndarray[Any, Any]) -> None:
    if value.shape != items.shape:
        value.resize(items.shape, refcheck=False)
    value[...] = items


def _same_array(value: np.ndarray[Any, Any], items: np.ndarray[Any, Any]) -> bool:
    if value.shape != items.shape:
        return False
    if value.dtype == object:
        return all_same(value.ravel().tolist(), items.ravel().tolist())
    return value.tobytes() == items.tobytes()


def _take_file(value: Any) -> tuple[Any, int | None]:
    content = value.getvalue() if isinstance(value, io.BytesIO | io.StringIO) else None
    return content, value.tell() if not value.closed and value.seekable() else None


def _put_file(value: Any, taken: tuple[Any, int | None]) -> None:
    content, position = taken
    if content is not None and value.getvalue() != content:
        value.seek(0)
        value.truncate()
        value.write(content)
    if position is not None:
        value.seek(position)


def _take_generator(value: Any) -> Any:
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, torch.Generator | np.random.RandomState):
        return value.get_state()
    return value.getstate()


def _put_generator(value: Any, state: Any) -> None:
    if isinstance(value, np.random.Generator):
        value.bit_generator.state = state
    elif isinstance(value, torch.Generator | np.random.RandomState):
        value.set_state(state)
    else:
        value.setstate(state)


def _put_attributes(value: Any, taken: dict[str, Any]) -> None:
    present = attributes(value)
    own = getattr(value, "__dict__", {})
    for name in present.keys() - taken.keys():
        if name in own:
            del own[name]
        else:
            object.__delattr__(value, name)
    for name, item in taken.items():
        if present.get(name, UNSET) is not item:
            if name in own or not hasattr(type(value), name):
                own[name] = item
            else:
                object.__setattr__(value, name, item)  # a slot, in a frozen dataclass, too


KINDS: tuple[tuple[type | tuple[type, ...], Kind], ...] = (
    (list, Kind(list, all_same, _put_items)),
    (bytearray, Kind(bytes, operator.eq, _put_items)),
    (array.array, Kind(lambda value: value[:], operator.eq, _put_items)),
    (dict, Kind(dict, _same_mapping, _put_mapping)),
    (set, Kind(set, operator.eq, _put_all)),
    (deque, Kind(list, all_same, _put_all)),
    (np.ndarray, Kind(lambda value: value.copy(), _same_array, _put_array)),
    (io.IOBase, Kind(_take_file, lambda value, taken: _take_file(value) == taken, _put_file)),
)
# A call that draws random numbers does the same work each time: put back for each placement, but no change.
GENERATOR = Kind(_take_generator, lambda *_: True, _put_generator)
ATTRIBUTES = Kind(attributes, lambda value, taken: _same_mapping(attributes(value), taken), _put_attributes)


def kinds_of(value: object) -> Iterator[Kind]:
    """The kinds of contents that an object has: a list of a user's own class has items and attributes."""
    if isinstance(value, Tensor):
        return
    if isinstance(value, GENERATORS):
        yield GENERATOR
        return
    for types, kind in KINDS:
        if isinstance(value, types):
            yield kind
            break
    if attributes(value) and not is_foreign(value):
        yield ATTRIBUTES


@dataclass(frozen=True)
class Held:
    """The contents of one object at a moment.

    Attributes:
        attribute: it is an attribute of an object, not an argument or an item of one.
    """

    value: Any
    kind: Kind
    taken: Any
    attribute: bool = False

    def now(self) -> Held:
        """The contents of the same object at present."""
        return replace(self, taken=self.kind.take(self.value))

    def changed(self) -> bool:
        """Whether the object holds something else by now, beside the derived tensors of a module.

        A module that computes an attribute anew in each call, such as the weight of a weight norm or a hidden state,
        does the same work each time; so does one that each call switches to training or to evaluation.
        """
        if self.kind.unchanged(self.value, self.taken):
            return False
        if self.kind is not ATTRIBUTES or not isinstance(self.value, nn.Module):
            return True
        present = attributes(self.value)
        return present.keys() != self.taken.keys() or not all(
            name == "training" or same(present[name], item) or _is_derived_anew(present[name], item)
            for name, item in self.taken.items()
        )

    def put_back(self) -> None:
        """Let the object hold what it held; one that still does is not written to."""
        if self.kind is GENERATOR or not self.kind.unchanged(self.value, self.taken):
            self.kind.put(self.value, self.taken)

    def only_filled(self) -> bool:
        """Whether all that has changed is that empty attributes of an object, or keys of one of them, were filled.

        That is what a lazy initialisation does: a table of a rotary embedding, an iterator of a loader.
        """
        if self.kind is ATTRIBUTES:
            present = attributes(self.value)
        elif self.attribute and isinstance(self.value, dict):
            present = self.value
        else:
            return False
        return all(
            name in present and (not _is_something(item) or same(present[name], item))
            for name, item in self.taken.items()
        )

    def only_counted(self) -> bool:
        """Whether all that has changed is numbers under the same keys, as of a counter."""
        present = attributes(self.value) if self.kind is ATTRIBUTES else self.value
        if not isinstance(self.taken, dict) or not isinstance(present, dict) or present.keys() != self.taken.keys():
            return False
        return all(
            same(present[name], item) or (type(item) in (int, float) and type(present[name]) in (int, float))
            for name, item in self.taken.items()
        )


def _is_derived_anew(value: object, before: object) -> bool:
    if not isinstance(value, Tensor) or not isinstance(before, Tensor):
        return False
    return value.shape == before.shape and value.dtype == before.dtype and value.layout == before.layout


def _is_something(value: object) -> bool:
    return value is not None and not (type(value) in (bool, int, float, str) and not value)


def held_in(root: object, excluded: set[int]) -> Iterator[Held]:
    """The contents of everything that is reachable from a root, except what is excluded by its id."""
    of_objects: set[int] = set()
    for value in walk(root, foreign=False):
        if id(value) not in excluded:
            for kind in kinds_of(value):
                held = Held(value, kind, kind.take(value), id(value) in of_objects)
                if kind is ATTRIBUTES:
                    of_objects.update(map(id, held.taken.values()))
                yield held
