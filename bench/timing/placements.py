"""A workload's inputs in memory: finds their tensors, moves them to fresh memory, upcasts them.

A *placement* is a fresh allocation of the inputs. Only their memory moves: the Python objects stay the same, so that a
compiled step with its optimiser is not compiled again for each placement.
"""

from __future__ import annotations

import copy
import ctypes
import random
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

BALLAST_BYTES = (64, 1 << 20)
# State that torch.optim creates in the first step with another value than zero: NAdam, ASGD, Rprop.
FIRST_VALUE: dict[str, float | str] = {"mu_product": 1.0, "mu": 1.0, "eta": "lr", "step_size": "lr"}
MALLOC_CEILING = (32 << 20) - (64 << 10)  # just under DEFAULT_MMAP_THRESHOLD_MAX on 64-bit Linux
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor that is reachable from ``value``: containers, modules, optimisers and gradients."""
    if isinstance(value, Tensor):
        if value.layout == torch.strided:  # a sparse tensor's memory stays where it is
            yield value
        if value.is_leaf and value.grad is not None:
            yield value.grad
    elif isinstance(value, torch.nn.Module):
        for tensor in (*value.parameters(), *value.buffers()):
            yield from tensors_in(tensor)
    elif isinstance(value, Optimizer):
        for state in value.state.values():
            yield from tensors_in(state)
        for group in value.param_groups:
            yield from tensors_in(list(group.values()))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


class Placements:
    """Moves the memory of inputs to fresh allocations, with their original values.

    Tensors that share memory continue to share it, with their strides and offsets. Tensors that did not exist at the
    start return to their first values: zero for gradients and for an optimiser's lazily created moments, another value
    for the few in ``FIRST_VALUE``. NumPy arrays stay where they are, with their original values.
    """

    def __init__(self, inputs: Sequence[Any], rng: random.Random) -> None:
        self._inputs = list(inputs)
        self._rng = rng
        # Where each storage lives now → its original values.
        self._original = {pointer: _copy(tensors[0].untyped_storage()) for pointer, tensors in self._storages().items()}
        self._arrays = [(array, array.copy()) for array in inputs if isinstance(array, np.ndarray)]
        self._ballast: list[Tensor] = []

    def add(self, more: Sequence[Any]) -> None:
        """From now on move what is reachable from ``more``, too, such as a case's own optimiser."""
        known = self._storages()
        self._inputs += [value for value in more if not any(value is present for present in self._inputs)]
        for pointer, tensors in self._storages().items():
            if pointer not in known:
                self._original[pointer] = _copy(tensors[0].untyped_storage())

    def _storages(self) -> dict[int, list[Tensor]]:
        by_storage: dict[int, list[Tensor]] = {}
        for tensor in tensors_in(self._inputs):
            if tensor.untyped_storage().nbytes():
                by_storage.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
        return by_storage

    def fresh(self) -> None:
        """Give every tensor of the inputs newly allocated memory with its original values.

        The new memory is allocated before the old is released, with blocks of random size in between, so that no
        allocator can return the same addresses or the same distances.
        """
        moved = []
        for pointer, tensors in self._storages().items():
            storage = tensors[0].untyped_storage()
            size = self._rng.randint(*BALLAST_BYTES)
            ballast = torch.empty(size, dtype=torch.uint8, device=storage.device)
            original = self._original.get(pointer)
            if original is None:
                new = torch.zeros(storage.nbytes(), dtype=torch.uint8, device=storage.device).untyped_storage()
            else:
                new = _copy(original)
            moved.append((tensors, new, original, ballast))
        for tensors, new, _, _ in moved:
            for tensor in tensors:
                fresh = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
                fresh.set_(new, tensor.storage_offset(), tensor.size(), tensor.stride())
                tensor.data = fresh
        self._original = {new.data_ptr(): original for _, new, original, _ in moved if original is not None}
        self._ballast = [ballast for *_, ballast in moved]
        for array, values in self._arrays:
            array[...] = values
        self._reset_optimizer_state()
        release_free_memory()

    def restore(self) -> None:
        """Give every tensor its original values in place."""
        for pointer, tensors in self._storages().items():
            original = self._original.get(pointer)
            if original is None:
                _bytes(tensors[0].untyped_storage()).zero_()
            else:
                _bytes(tensors[0].untyped_storage()).copy_(_bytes(original))
        for array, values in self._arrays:
            array[...] = values
        self._reset_optimizer_state()

    def _reset_optimizer_state(self) -> None:
        """Reset state that an optimiser has created since and that begins with another value than zero."""
        for optimizer in self._inputs:
            if not isinstance(optimizer, Optimizer):
                continue
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    for name, tensor in optimizer.state.get(parameter, {}).items():
                        first = FIRST_VALUE.get(name)
                        if first is None or not isinstance(tensor, Tensor):
                            continue
                        if tensor.untyped_storage().data_ptr() not in self._original:
                            tensor.fill_(float(group["lr"] if first == "lr" else first))


def settle_allocator() -> None:
    """Bring glibc's malloc to the state of a long-lived process.

    Its threshold for taking memory from the kernel block by block rises to the largest block freed so far, up to 32 MiB
    (mallopt(3), M_MMAP_THRESHOLD). Until then, the page faults of results of some megabytes depend on what the process
    happened to free before: a layer norm of 1000×1000 written out took 350, 810 and 1,920 faults per call in three
    fresh processes, and at most 20 in each of them after a block of 32 MiB had been freed (2-core VM, torch 2.13).
    """
    torch.empty(MALLOC_CEILING, dtype=torch.uint8)


def release_free_memory() -> None:
    """Return the free pages of malloc to the kernel (glibc's malloc_trim).

    The memory of results and intermediate values is then new, too: otherwise they would keep the same physical pages
    for the life of the process. Does nothing where the C library has no such call.
    """
    if _malloc_trim is not None:
        _malloc_trim(0)


def _bytes(storage: torch.UntypedStorage) -> Tensor:
    """All of a storage as a tensor of bytes."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _copy(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    copied = storage.clone()  # type: ignore[no-untyped-call]
    return copied.pin_memory() if storage.is_pinned() else copied  # type: ignore[no-any-return]


def to_reference(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """A deep copy of ``inputs`` on the CPU with every floating-point tensor in float64, which not every device has.

    Modules keep their parameter objects, so that a copied optimiser still refers to them.
    """
    copied = copy.deepcopy(tuple(inputs))
    return tuple(_upcast(value) for value in copied)


def _upcast(value: Any) -> Any:
    if isinstance(value, Tensor):
        value.grad = None
        wide = torch.complex128 if value.is_complex() else torch.float64 if value.is_floating_point() else value.dtype
        value.data = value.data.to("cpu").to(wide)
        return value
    if isinstance(value, torch.nn.Module):
        return value.to("cpu").to(torch.float64)
    if isinstance(value, Optimizer):
        _upcast(list(value.state.values()))
        return value
    if isinstance(value, torch.device):
        return torch.device("cpu")
    if isinstance(value, MutableMapping):
        for key, item in value.items():
            value[key] = _upcast(item)
        return value
    if isinstance(value, list):
        return [_upcast(item) for item in value]
    if isinstance(value, tuple):
        items = [_upcast(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value
