"""Fills the memory that a result may get with NaN, so that a result that is not written is not right by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.memory import has_storage
from torchduet.bench.timing.checking.reference import Reference
from torchduet.bench.timing.device_registry import device_of


def poison(reference: Reference, device: str, graph_result: Any, inputs: Sequence[Any]) -> None:
    """Make sure that a result that the next call does not write is not right by chance.

    Memory of the result's size is filled with NaN and released, so that the allocator returns it again. The memory of
    a CUDA graph's result, which stays the same, is filled with NaN, too.

    Args:
        graph_result: of a CUDA graph; tensors that share memory with the inputs are not changed. None without a graph.
    """
    shared = {tensor.untyped_storage().data_ptr() for tensor in tensors_in(inputs) if has_storage(tensor)}
    for tensor in tensors_in([graph_result]):
        if tensor.is_floating_point() and has_storage(tensor) and tensor.untyped_storage().data_ptr() not in shared:
            with torch.inference_mode():  # the result may be of that kind
                tensor.detach().fill_(torch.nan)
    target = device_of(device).torch_device
    values = [part.value for part in reference.results.values() if not part.python]
    shapes = [value.shape for value in values if isinstance(value, Tensor) and value.is_floating_point()]
    filled = [torch.full(shape, torch.nan, device=target) for shape in shapes]
    del filled
