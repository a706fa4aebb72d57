"""Walks everything that is reachable from a workload's inputs: containers, modules, optimisers, plain objects."""

from __future__ import annotations

import array
import dataclasses
import functools
import io
import random
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.utils._pytree import SUPPORTED_NODES

ATOMS: frozenset[type] = frozenset(
    {
        *(bool, int, float, complex, str, bytes, range, slice, type, type(None), type(Ellipsis), memoryview),
        *(torch.dtype, torch.layout, type(torch.contiguous_format), torch.Size),
        *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.CodeType, types.MappingProxyType),
    }
)
# Objects of these modules of the standard library hold what a user put into them.
CONTAINER_MODULES = frozenset({"argparse", "collections", "queue", "types"})
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)


def is_atom(value: object) -> bool:
    """Whether a value holds nothing that could change or move."""
    return type(value) in ATOMS or isinstance(value, type | np.generic | PurePath)


def is_iterator(value: object) -> bool:
    """Whether a value is used up by one pass over it, and cannot be put back.

    An iterator of a class that a user wrote in Python is an object with attributes, which can be put back.
    """
    if isinstance(value, io.IOBase) or not (hasattr(type(value), "__next__") and hasattr(type(value), "__iter__")):
        return False
    return not hasattr(value, "__dict__") or _is_installed(type(value))


def _is_installed(kind: type) -> bool:
    """Whether a class comes from the standard library or an installed package."""
    root = kind.__module__.partition(".")[0]
    if root in sys.stdlib_module_names:
        return True
    path = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    return "site-packages" in path or "dist-packages" in path


def is_wrapper(tensor: Tensor) -> bool:
    """Whether a tensor has no memory of its own, but holds other tensors as attributes: jagged, masked, distributed."""
    return (
        type(tensor) not in (Tensor, nn.Parameter)
        and hasattr(type(tensor), "__torch_dispatch__")
        and bool([value for value in vars(tensor).values() if isinstance(value, Tensor)])
    )


def attributes(value: object) -> dict[str, Any]:
    """The attributes of an object that are its own; empty for one that has none, or whose class is not descended."""
    kind = type(value)
    own: dict[str, Any] = {}
    if kind.__module__ in sys.stdlib_module_names and kind.__module__ not in CONTAINER_MODULES:
        return own
    if isinstance(value, torch.device | torch.Generator) or is_iterator(value):
        return own
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                own[name] = getattr(value, name)
    own.update(getattr(value, "__dict__", {}))
    return own


def children(value: object) -> Iterable[Any]:
    """What a value holds directly."""
    if isinstance(value, Tensor):
        gradient = [value.grad] if value.is_leaf and value.grad is not None else []
        return [*vars(value).values(), *gradient] if is_wrapper(value) else gradient
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype == object else ()
    if isinstance(value, dict):
        return [*value.keys(), *value.values(), *(attributes(value).values() if type(value) is not dict else ())]
    if isinstance(value, list | tuple | set | frozenset | deque):
        if set(map(type, value)) <= ATOMS:  # fast for long lists of numbers
            return ()
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, (bytearray, array.array, io.IOBase, *GENERATORS)):
        return ()
    own = attributes(value)
    if own:
        return own.values()
    if type(value) in SUPPORTED_NODES:
        return SUPPORTED_NODES[type(value)].flatten_fn(value)[0]
    return list(value.values()) if isinstance(value, Mapping) else ()


def is_foreign(value: object) -> bool:
    """Whether an object's attributes belong to an installed package, such as a loader's; they are not put back."""
    kind = type(value)
    if isinstance(value, torch.optim.lr_scheduler.LRScheduler):
        return False
    known = (
        Tensor,
        np.ndarray,
        nn.Module,
        list,
        tuple,
        dict,
        set,
        frozenset,
        deque,
        functools.partial,
        types.MethodType,
    )
    if isinstance(value, known) or dataclasses.is_dataclass(value) or kind.__module__ in CONTAINER_MODULES:
        return False
    return bool(attributes(value)) and _is_installed(kind)


def walk(*roots: object, foreign: bool = True) -> Iterator[Any]:
    """Every object that is reachable from the roots, each once, parents before what they hold; no atoms.

    Args:
        foreign: also what is held by objects of installed packages that are no containers.
    """
    seen: dict[int, object] = {}  # holds them, so that no id is used twice
    stack = list(reversed(roots))
    while stack:
        value = stack.pop()
        if is_atom(value) or id(value) in seen:
            continue
        seen[id(value)] = value
        yield value
        if foreign or not is_foreign(value):
            stack.extend(reversed(list(children(value))))


def tensors_in(value: object) -> Iterator[Tensor]:
    """Every tensor with memory of its own that is reachable: in containers, modules, optimisers, gradients, objects."""
    for item in walk(value):
        if isinstance(item, Tensor) and not is_wrapper(item) and not is_lazy(item):
            yield item


def optimizers_in(value: object) -> Iterator[Optimizer]:
    """Every optimiser that is reachable."""
    return (item for item in walk(value) if isinstance(item, Optimizer))


def moments_in(value: object) -> set[int]:
    """Ids of the tensors that optimisers keep: moments, and counters in float32 whatever the parameters are."""
    states = [list(optimizer.state.values()) for optimizer in optimizers_in(value)]
    return {id(tensor) for tensor in tensors_in(states)}


def has_lazy_parameters(value: object) -> bool:
    """Whether a module among what is reachable creates its parameters in its first call."""
    return any(isinstance(item, Tensor) and is_lazy(item) for item in walk(value))


def trained_in(value: object) -> set[int]:
    """Ids of what a training step changes by its nature, as each call does.

    The parameters and buffers of modules, tensors that require gradients, all gradients, and everything within an
    optimiser or a loss scaler. A schedule of learning rates is none of them: it may come to an end.
    """
    trained: set[int] = set()
    for item in walk(value):
        if isinstance(item, nn.Module):
            for tensor in (*item.parameters(recurse=False), *item.buffers(recurse=False)):
                trained.update(map(id, walk(tensor)))
        elif isinstance(item, Optimizer | torch.amp.GradScaler):
            trained.update(map(id, walk(*vars(item).values())))
            trained.add(id(item))
        elif isinstance(item, Tensor) and item.is_leaf:
            if item.requires_grad:
                trained.add(id(item))
            if item.grad is not None:
                trained.add(id(item.grad))
    return trained
