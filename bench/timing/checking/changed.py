"""Changes the values of inputs in place, so that a result that is remembered does not follow."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, MutableSequence, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchduet.bench.inputs.graph import moments_in, tensors_in, walk

MIN_NUMBERS = 8  # in a list: single numbers are settings, such as a rate of decay that must stay below 1
LEAST, MOST = 1.0, 1.25  # of the factors: signs, order of magnitude and zeros stay
PART = 1 << 24  # values
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
    generators: dict[torch.device, torch.Generator] = {}
    factor = numbers_rng.uniform((LEAST + MOST) / 2, MOST)
    changed = False
    for flat in _memory(inputs, left):
        if common:
            flat.mul_(factor)
        else:
            if flat.device not in generators:
                generators[flat.device] = torch.Generator(flat.device).manual_seed(seed)
            _multiply(flat, generators[flat.device])
        changed = True
    undo: list[Undo] = []
    settled = changed or not numbers  # a tensor's values decide
    for value in walk(inputs, foreign=False):  # what is put back
        if isinstance(value, np.ndarray) and value.dtype.kind in "fc" and value.flags.writeable:
            random_factors = np.random.default_rng(seed).uniform(LEAST, MOST, value.shape)
            scales = np.full(value.shape, factor) if common else np.asarray(random_factors)
            value *= scales.astype(value.dtype)
            changed = True
        elif not settled and isinstance(value, MutableSequence) and len(value) >= MIN_NUMBERS:
            undo.append(_putting_back(value))
            for index, item in enumerate(value):
                if type(item) in (float, complex):
                    value[index] = item * (factor if common else numbers_rng.uniform(LEAST, MOST))
                    changed = True
    return changed, undo


def _multiply(flat: Tensor, generator: torch.Generator) -> None:
    """Multiply each value by a random factor, drawn where the values are; in parts, which need little memory."""
    for start in range(0, flat.numel(), PART):
        part = flat[start : start + PART]
        factors = torch.rand(part.shape, generator=generator, dtype=torch.float32, device=flat.device)
        part.mul_(factors.mul_(MOST - LEAST).add_(LEAST).to(flat.dtype))


def _memory(inputs: Sequence[Any], also_left: Collection[int]) -> Iterator[Tensor]:
    """The memory of every dense real or complex tensor, once each, as a flat tensor of a version counter of its own."""
    left = moments_in(inputs) | {*also_left}
    seen: set[int] = set()
    for tensor in tensors_in(inputs):
        for dense in _dense(tensor):
            storage = dense.untyped_storage()
            real = (dense.is_floating_point() or dense.is_complex()) and dense.dtype.itemsize > 1
            if id(tensor) in left or not real or storage.data_ptr() in seen or not storage.nbytes():
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


def _putting_back(container: Any) -> Undo:
    items = list(container)

    def put_back() -> None:
        container[:] = items  # a call may have made it shorter

    return put_back
