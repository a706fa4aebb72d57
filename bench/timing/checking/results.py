"""What a result consists of: every value in it, by a name that is the same for every implementation."""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import re
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.optim import Optimizer
from torch.utils import _pytree as pytree

from torchduet.bench.inputs.graph import attributes
from torchduet.bench.timing.checking.dense import CheckError, dense, from_array
from torchduet.suites.workload import Workload

ROOT = "result"
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
LAZY = (types.GeneratorType, map, filter, zip)
MAX_NAME = 60  # characters of a key in a name
MAX_DEPTH = 50


@dataclass(frozen=True)
class Part:
    """One value of a result.

    Attributes:
        path: its name, e.g. ``result``, ``result[0]``, ``loss``, ``gradient of 0.weight``, ``out['a'].logits``.
        value: a dense, detached copy, or a text.
        python: it was a number of Python, of which 1 and 1.0 are the same.
        named: a key, a field or an attribute leads to it; otherwise only positions do.
    """

    path: str
    value: Tensor | str
    python: bool = False
    named: bool = False


Results = Mapping[str, Part]


class NothingToCheckError(CheckError):
    """A result holds no values."""


def observed(workload: Workload, inputs: Sequence[Any], result: Any) -> Results:
    """The values of a call that are checked, by their names, as detached copies.

    With ``check=False`` they may be none: a step need not return anything.

    Raises:
        CheckError: the result contains nothing that can be compared.
    """
    value = workload.observe(inputs, result) if workload.observe else result
    try:
        return results_of(value, type(result).__name__)
    except NothingToCheckError:
        if workload.check:
            raise
        return {}


def results_of(value: Any, kind: str = "") -> Results:
    """Every value within ``value`` by its name.

    Raises:
        CheckError: there is none (:class:`NothingToCheckError`), or one that holds no values.
    """
    named: dict[str, Part] = {}
    for part in _parts(value, "", named=False, only_tensors=False, above=()):
        path, number = part.path, 2
        while path in named:
            path, number = f"{part.path} ({number})", number + 1
        named[path] = dataclasses.replace(part, path=path)
    if inspect.iscoroutine(value):
        value.close()
        raise CheckError("it returned a coroutine, which has computed nothing yet: call asyncio.run in the function")
    if not any(part.value is not NONE for part in named.values()):
        raise NothingToCheckError(
            f"it returned {kind or type(value).__name__}, which contains nothing to check; return a tensor, "
            "or name what to check with observe="
        )
    return named


NONE = "None"


def _parts(value: Any, path: str, *, named: bool, only_tensors: bool, above: tuple[int, ...]) -> Iterator[Part]:
    """Every value within ``value``; of an object's attributes only tensors and arrays count."""
    if id(value) in above or len(above) > MAX_DEPTH:
        return

    def inner(items: Iterable[tuple[str, Any]], *, by_name: bool, only: bool = only_tensors) -> Iterator[Part]:
        for name, item in items:
            below = (*above, id(value))
            yield from _parts(item, name, named=named or by_name, only_tensors=only, above=below)

    root = path or ROOT
    if isinstance(value, Tensor):
        for suffix, tensor in dense(value, root):
            yield Part(root + suffix, tensor, named=named)
    elif isinstance(value, np.ndarray | np.generic):
        for suffix, item in from_array(np.asanyarray(value), root):
            if isinstance(item, Tensor):
                yield Part(root + suffix, item, named=named)
            else:
                yield from inner([(root + suffix, item)], by_name=False)
    elif isinstance(value, LAZY):
        raise CheckError(
            f"{path or 'it'} returned a {type(value).__name__}, which computes nothing before it is read;"
            " return list(...) of it"
        )
    elif isinstance(value, numbers.Number) or value is None or isinstance(value, str | bytes):
        if not only_tensors:
            yield from _plain(value, root, named)
    elif isinstance(value, Mapping):
        yield from inner(((_key(path, key), item) for key, item in value.items()), by_name=True)
    elif isinstance(value, list | tuple | deque):
        fields = getattr(value, "_fields", None) or [None] * len(value)
        for index, (field, item) in enumerate(zip(fields, value, strict=True)):
            name = f"{root}[{index}]" if field is None else f"{path}.{field}" if path else field
            yield from inner([(name, item)], by_name=field is not None)
    elif isinstance(value, Set):
        for index, item in enumerate(sorted(value, key=_order)):
            yield from inner([(f"{root}[{index}]", item)], by_name=False)
    elif isinstance(value, torch.nn.Module):
        yield from inner(((_key(path, key), item) for key, item in value.state_dict().items()), by_name=True)
    elif isinstance(value, Optimizer):
        yield from inner([(root, value.state_dict()["state"])], by_name=True)
    elif isinstance(value, torch.futures.Future):
        yield from inner([(path, value.wait())], by_name=False)
    elif type(value) in pytree.SUPPORTED_NODES:
        children, _ = pytree.SUPPORTED_NODES[type(value)].flatten_fn(value)
        yield from inner(((f"{root}[{index}]", item) for index, item in enumerate(children)), by_name=False)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        yield from inner(((_attribute(path, name), getattr(value, name, None)) for name in names), by_name=True)
    elif not isinstance(value, type | types.FunctionType | types.ModuleType | torch.dtype | torch.device):
        items = [(_attribute(path, name), item) for name, item in _attributes(value)]
        yield from inner(items, by_name=True, only=True)


def _plain(value: Any, path: str, named: bool) -> Iterator[Part]:
    """A number, a text or None."""
    if value is None:
        yield Part(path, NONE, named=named)
    elif isinstance(value, str | bytes):
        yield Part(path, repr(value), named=named)
    elif isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        yield Part(path, torch.tensor(value), python=True, named=named)
    elif isinstance(value, numbers.Real):
        yield Part(path, torch.tensor(float(value), dtype=torch.float64), python=True, named=named)
    elif isinstance(value, numbers.Complex):
        yield Part(path, torch.tensor(complex(value), dtype=torch.complex128), python=True, named=named)
    else:  # decimal.Decimal is no Real
        yield Part(path, torch.tensor(float(str(value)), dtype=torch.float64), python=True, named=named)


def _key(path: str, key: object) -> str:
    """The name of a mapping's item: at the top the key itself, so that ``observe=`` can give names."""
    if isinstance(key, str) and not path:
        return key
    if isinstance(key, Tensor):
        return f"{path or ROOT}[tensor]"
    return f"{path or ROOT}[{ADDRESS.sub('', repr(key))[:MAX_NAME]}]"


def _attribute(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _attributes(value: object) -> list[tuple[str, Any]]:
    """The attributes of an object that may hold tensors; private ones only where no public one does."""
    own = attributes(value)
    if isinstance(value, Distribution):
        return [(name, own[name]) for name in value.arg_constraints if name in own]
    public = [(name, item) for name, item in own.items() if not name.startswith("_")]
    return public if any(isinstance(item, Tensor | np.ndarray) for _, item in public) else list(own.items())


def _order(item: Any) -> tuple[str, Any]:
    """A key by which a set's items have the same order in every implementation."""
    if isinstance(item, Tensor):
        return "tensor", (item.dim(), float(item.detach().double().sum()))
    if isinstance(item, numbers.Real):
        return "", float(item)
    return type(item).__name__, ADDRESS.sub("", repr(item))
