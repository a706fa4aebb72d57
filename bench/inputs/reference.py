"""Copies of a workload's inputs, with the same sharing and structure: as they are, in float64, or in another type."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchduet.bench.inputs.graph import children, is_iterator, is_wrapper, moments_in, walk
from torchduet.bench.inputs.memory import has_storage

CPU = torch.device("cpu")
MAX_UNUSED = 4  # times as many elements in a storage as its views have together: then each view is copied alone


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which a reference computes: float64, complex128, and any other as it is."""
    return torch.complex128 if dtype.is_complex else torch.float64 if dtype.is_floating_point else dtype


def to_reference(inputs: Sequence[Any], device: torch.device = CPU) -> tuple[Any, ...]:
    """A deep copy of ``inputs`` with every floating-point tensor in float64, on the CPU unless another device has it.

    Tensors are found wherever they are held: containers, modules' plain attributes, objects. Views of one storage are
    views of one storage in the copy. Whatever holds a tensor twice holds its copy twice, so that a copied optimiser
    still refers to the copied parameters.
    """
    return duplicate(inputs, upcast=device)


def converts(dtype: torch.dtype) -> bool:
    """Whether a pure precision converts tensors of this type: real numbers, but those of float8, which have scales."""
    return dtype.is_floating_point and dtype.itemsize > 1


def duplicate(
    inputs: Sequence[Any], *, upcast: torch.device | None = None, dtype: torch.dtype | None = None
) -> tuple[Any, ...]:
    """A deep copy of ``inputs``: as they are, in float64 on the device ``upcast``, or with real numbers in ``dtype``.

    Unlike :func:`copy.deepcopy` it copies compressed sparse tensors, results of operators, and generators of random
    numbers. The counters of optimisers, single numbers in float32 whatever the parameters are, are not converted to
    ``dtype``: in half precision they would stop counting.
    """
    memo: dict[int, Any] = {}
    tensors, optimizers = [], []
    for value in walk(*inputs):
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, Optimizer):
            optimizers.append(value)
        elif isinstance(value, torch.Generator):
            own = torch.Generator(upcast or value.device)
            memo[id(value)] = own.set_state(value.get_state()) if own.device == value.device else own
        elif isinstance(value, torch.device) and upcast:
            memo[id(value)] = upcast
    counters = {id(tensor) for tensor in tensors if not tensor.dim()} & moments_in(inputs) if dtype else set()
    converted = [tensor for tensor in tensors if id(tensor) not in counters]
    memo |= {id(tensor): copied for tensor, copied in _copies(converted, upcast, dtype)}
    try:
        known = dict(memo)
        copied = copy.deepcopy(tuple(inputs), known)
    except (TypeError, NotImplementedError, RuntimeError, pickle.PicklingError):
        known = memo | _shared(inputs)
        copied = copy.deepcopy(tuple(inputs), known)
    for optimizer in optimizers:
        _complete(known[id(optimizer)], optimizer, known)
    return copied


def _complete(copied: Optimizer, optimizer: Optimizer, memo: dict[int, Any]) -> None:
    """Copy the attributes that an optimiser leaves out of its state, such as the parameters of LBFGS.

    Callables are left out: a schedule replaces ``step`` by one of the original optimiser.
    """
    for name, value in vars(optimizer).items():
        if name not in vars(copied) and not callable(value):
            setattr(copied, name, copy.deepcopy(value, memo))


def _shared(inputs: Sequence[Any]) -> dict[int, Any]:
    """Ids of reachable objects that cannot be copied, such as locks and sessions → the objects themselves.

    Raises:
        TypeError: an iterator is among them: its copy would use up the original's items.
    """
    shared: dict[int, Any] = {}
    for value in walk(*inputs):
        if isinstance(value, Tensor) or any(True for _ in children(value)):
            continue
        try:
            copy.deepcopy(value)
        except (TypeError, NotImplementedError, RuntimeError, pickle.PicklingError):
            if is_iterator(value):
                raise
            shared[id(value)] = value
    return shared


def _copies(
    tensors: Sequence[Tensor], upcast: torch.device | None, dtype: torch.dtype | None
) -> list[tuple[Tensor, Tensor]]:
    """Each tensor with its copy; lazy parameters are left to ``copy.deepcopy``."""
    plain = [tensor for tensor in tensors if not nn.parameter.is_lazy(tensor)]
    by_storage: dict[tuple[int, torch.dtype], list[Tensor]] = {}
    copies: dict[int, Tensor] = {}
    for tensor in plain:
        sharable = has_storage(tensor) and not is_wrapper(tensor) and not tensor.is_quantized
        if sharable and tensor.untyped_storage().nbytes():
            by_storage.setdefault((tensor.untyped_storage().data_ptr(), tensor.dtype), []).append(tensor)
        else:
            copies[id(tensor)] = _converted(tensor.detach(), upcast, dtype)
    for views in by_storage.values():
        copies.update(zip(map(id, views), _copied_views(views, upcast, dtype), strict=True))
    for tensor in plain:
        copied = copies[id(tensor)]
        if isinstance(tensor, nn.Parameter):
            copied = nn.Parameter(copied, requires_grad=tensor.requires_grad)
            copied.__dict__.update(tensor.__dict__)
        elif tensor.requires_grad:
            copied.requires_grad_()
        copies[id(tensor)] = copied
    for tensor in plain:
        if tensor.is_leaf and tensor.grad is not None and id(tensor.grad) in copies:
            copies[id(tensor)].grad = copies[id(tensor.grad)]
    return [(tensor, copies[id(tensor)]) for tensor in plain]


def _copied_views(views: Sequence[Tensor], upcast: torch.device | None, dtype: torch.dtype | None) -> list[Tensor]:
    first = views[0]
    elements = first.untyped_storage().nbytes() // first.element_size()
    if len(views) == 1 and (first.is_contiguous() or elements > MAX_UNUSED * max(1, first.numel())):
        return [_converted(first.detach(), upcast, dtype)]
    flat = torch.empty(0, dtype=first.dtype, device=first.device)
    flat.set_(first.untyped_storage(), 0, (elements,), (1,))
    base = _converted(flat, upcast, dtype)
    copied = []
    for view in views:
        alias = base.as_strided(view.size(), view.stride(), view.storage_offset())
        alias = alias.conj() if view.is_conj() else alias
        copied.append(torch._neg_view(alias) if view.is_neg() else alias)
    return copied


def _converted(tensor: Tensor, upcast: torch.device | None, dtype: torch.dtype | None) -> Tensor:
    """A copy; in float64 on the device ``upcast``, or in ``dtype``, where the layout and the type allow it."""
    if tensor.is_quantized or tensor.is_meta or (upcast is None and not (dtype and converts(tensor.dtype))):
        return tensor.clone()
    moved = tensor if upcast is None else tensor.to(upcast)  # before it is converted: not every device has float64
    if moved.layout == torch._mkldnn:  # type: ignore[attr-defined]
        return moved.clone()
    other = wide(tensor.dtype) if dtype is None else dtype
    return moved.to(other) if moved.dtype != other else moved.clone() if moved is tensor else moved
