"""Changes the values of inputs in place, so that a result that is remembered does not follow."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, MutableSequence, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from torchduet.bench.inputs.graph import tensors_in

MIN_NUMBERS = 8
LEAST, MOST = 1.0, 1.25  # of the factors: signs, order of magnitude and zeros stay
Undo = Callable[[], None]


def change_values(
    inputs: Sequence[Any], seed: int, *, common: bool, numbers: bool, left: Collection[int] = ()
) -> tuple[bool, list[Undo]]:
    """Multiply every real number within the inputs by a factor in [1, 1.25), the same for the same seed.

    The tensors' version counters stay as they are. The state of optimisers is left alone.

    Args:
        common: one factor for all, which keeps what is symmetric, sorted or definite.
        numbers: change Python's numbers in lists, too, where there are no tensors.
        left: ids of tensors to leave as they are.

    Returns:
        Whether anything was changed, and what undoes the changes of Python's numbers.
    """
    numbers_rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    factor = numbers_rng.uniform((LEAST + MOST) / 2, MOST)
    changed = False
    for flat in _memory(inputs, left):
        if common:
            flat.mul_(factor)
        else:
            factors = torch.rand(flat.shape, generator=generator, dtype=torch.float32)
            flat.mul_((LEAST + (MOST - LEAST) * factors).to(flat.device, flat.dtype))
        changed = True
    undo: list[Undo] = []
    held: set[int] = set()
    settled = changed
    for container, key, value in list(_numbers(inputs, ())):
        if isinstance(value, np.ndarray):
            random_factors = np.random.default_rng(seed).uniform(LEAST, MOST, value.shape)
            scales = np.full(value.shape, factor) if common else np.asarray(random_factors)
            value *= scales.astype(value.dtype)
            changed = True
        elif numbers and not settled:  # else a tensor's values decide
            if id(container) not in held:
                held.add(id(container))
                undo.append(_putting_back(container))
            container[key] = value * (factor if common else numbers_rng.uniform(LEAST, MOST))
            changed = True
    return changed, undo


def _memory(inputs: Sequence[Any], also_left: Collection[int]) -> Iterator[Tensor]:
    """The memory of every dense real or complex tensor, once each, as a flat tensor of a version counter of its own."""
    left = {id(tensor) for value in _optimizers(inputs, ()) for tensor in tensors_in(list(value.state.values()))}
    seen: set[int] = set()
    for tensor in tensors_in(list(inputs)):
        for dense in _dense(tensor):
            storage = dense.untyped_storage()
            real = (dense.is_floating_point() or dense.is_complex()) and dense.dtype.itemsize > 1
            if (
                id(tensor) in left
                or id(tensor) in also_left
                or not real
                or storage.data_ptr() in seen
                or not storage.nbytes()
            ):
                continue
            seen.add(storage.data_ptr())
            flat = torch.empty(0, dtype=dense.dtype, device=dense.device)
            yield flat.set_(storage, 0, (storage.nbytes() // dense.dtype.itemsize,), (1,))


def _dense(tensor: Tensor) -> list[Tensor]:
    """The tensor itself, or the values of a sparse one; none of a kind without memory of its own values."""
    with torch.no_grad():
        if tensor.is_meta or tensor.is_quantized or tensor.is_mkldnn or tensor.is_nested:
            return []
        if tensor.layout == torch.sparse_coo:
            return [tensor._values()]
        return [tensor] if tensor.layout == torch.strided else [tensor.values()]


def _optimizers(value: Any, above: tuple[int, ...]) -> Iterator[Optimizer]:
    if isinstance(value, Optimizer):
        yield value
    elif isinstance(value, Mapping | list | tuple) and id(value) not in above:
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _optimizers(item, (*above, id(value)))


def _numbers(value: Any, above: tuple[int, ...]) -> Iterator[tuple[Any, Any, Any]]:
    """(container, key, value) of every float in a long list, and of every array of real numbers.

    Single numbers are settings, such as a rate of decay that must stay below 1.
    """
    if id(value) in above or isinstance(value, str | bytes):
        return
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fc" and value.flags.writeable:
            yield None, None, value
    elif isinstance(value, Mapping | Sequence):
        items = list(value.items() if isinstance(value, Mapping) else enumerate(value))
        for key, item in items:
            if type(item) in (float, complex) and isinstance(value, MutableSequence) and len(value) >= MIN_NUMBERS:
                yield value, key, item
            else:
                yield from _numbers(item, (*above, id(value)))


def _putting_back(container: Any) -> Undo:
    items = list(container)

    def put_back() -> None:
        container[:] = items  # a call may have made it shorter

    return put_back
