"""Tensors of any layout and arrays of any type as dense tensors whose values can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.masked import MaskedTensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

MAX_DENSE = 1 << 24  # elements: a larger sparse tensor stays so, as its dense form may not fit into memory
DENSE_SHARE = 16  # … unless that has at most so many times the elements that are stored
SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.complex32: torch.complex64}


class CheckError(Exception):
    """A result that must not be timed; the message says what is wrong with it."""


def dense(tensor: Tensor, path: str) -> Iterator[tuple[str, Tensor]]:
    """A tensor's values as detached dense copies, each with what follows ``path`` in its name.

    A nested tensor gives its components. A sparse one that is too large gives its indices and values.

    Raises:
        CheckError: it holds no values.
    """
    if tensor.is_meta or isinstance(tensor, FakeTensor):
        raise CheckError(f"{path} is on the meta device, which holds no values; compute on a device, or check=False")
    tensor = tensor.detach()
    if isinstance(tensor, MaskedTensor):
        mask = tensor.get_mask()  # type: ignore[no-untyped-call]
        yield " (mask)", mask.clone()
        data = tensor.get_data()  # type: ignore[no-untyped-call]
        yield "", torch.where(mask, data, torch.zeros_like(data))
    elif tensor.is_nested:
        for index, component in enumerate(tensor.unbind()):
            yield from ((f"[{index}]{suffix}", item) for suffix, item in dense(component, f"{path}[{index}]"))
    elif tensor.layout in SPARSE:
        yield from _sparse(tensor)
    elif tensor.is_quantized:
        yield "", tensor.dequantize()
    elif tensor.is_mkldnn:
        yield "", tensor.to_dense()
    elif is_traceable_wrapper_subclass(tensor) and type(tensor).dequantize is not Tensor.dequantize:
        yield "", tensor.dequantize()
    else:
        yield "", _comparable(tensor)


def _comparable(tensor: Tensor) -> Tensor:
    """A copy in a type that PyTorch computes with."""
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.is_floating_point() and tensor.dtype.itemsize == 1:  # float8
        return tensor.to(torch.float32)
    if tensor.dtype == torch.uint64:
        return tensor.view(torch.int64).clone()
    wider = WIDER.get(tensor.dtype)
    return tensor.clone() if wider is None else tensor.to(wider)


def _sparse(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    stored = tensor.coalesce() if tensor.layout == torch.sparse_coo else tensor
    values = stored.values()
    if tensor.numel() <= max(MAX_DENSE, DENSE_SHARE * values.numel()):
        yield "", stored.to_dense()
        return
    coo = (stored if stored.layout == torch.sparse_coo else stored.to_sparse()).coalesce()
    yield " (indices)", coo.indices().clone()
    yield " (values)", _comparable(coo.values())


def from_array(array: np.ndarray[Any, Any], path: str) -> Iterator[tuple[str, Any]]:
    """An array's values as tensors, with what follows ``path`` in their names; of objects a list, to be looked into."""
    if isinstance(array, np.ma.MaskedArray):
        yield " (mask)", torch.from_numpy(np.ma.getmaskarray(array).copy())
        array = array.filled(0)
    if array.dtype.names is not None:
        for name in array.dtype.names:
            yield from ((f"[{name!r}]{suffix}", item) for suffix, item in from_array(array[name], path))
    elif array.dtype.kind in "mM":
        yield "", torch.from_numpy(np.array(array, order="C").view(np.int64))
    elif array.dtype.kind in "OSUV":
        yield "", array.ravel().tolist()
    else:
        wide = {np.longdouble: np.float64, np.clongdouble: np.complex128}.get(array.dtype.type)
        yield "", _comparable(torch.from_numpy(np.array(array, dtype=wide or array.dtype.newbyteorder("="), order="C")))
