"""The memory of tensors, whatever their layout: copied, compared, put back in place, moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def has_storage(tensor: Tensor) -> bool:
    """Whether a tensor is a view of one storage; not so sparse, nested and opaque ones."""
    return tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_meta


def bytes_of(storage: torch.UntypedStorage) -> Tensor:
    """All of a storage as a tensor of bytes."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def copy_of(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """A copy, pinned or shared between processes as the storage is."""
    copied = storage.clone()  # type: ignore[no-untyped-call]
    if storage.is_pinned():
        return copied.pin_memory()  # type: ignore[no-any-return]
    return copied.share_memory_() if storage.is_shared() else copied  # type: ignore[no-any-return]


def same_bytes(storage: torch.UntypedStorage, other: torch.UntypedStorage) -> bool:
    """Whether two storages hold the same bytes; NaN equals itself."""
    return storage.nbytes() == other.nbytes() and bool(torch.equal(bytes_of(storage), bytes_of(other)))


def place(tensor: Tensor, storage: torch.UntypedStorage, geometry: Geometry) -> None:
    """Let a tensor view a part of a storage; its dtype, its quantiser and the bits of lazy views stay."""
    moved = tensor.detach()
    moved.set_(storage, geometry.offset, geometry.size, geometry.stride)
    tensor.data = moved


@dataclass(frozen=True)
class Geometry:
    """Which part of its storage a tensor views, in elements."""

    offset: int
    size: torch.Size
    stride: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> Geometry:
        """The geometry of a tensor."""
        return cls(int(tensor.storage_offset()), tensor.size(), tensor.stride())


def components(tensor: Tensor) -> list[Tensor]:
    """The strided tensors of which a sparse, nested or opaque one consists."""
    tensor = tensor.detach()
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    if tensor.is_nested:
        return list(tensor.unbind())
    return [tensor.to_dense()]  # mkldnn


def same_components(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether two lists of strided tensors hold the same bytes in the same shapes."""
    pairs = list(zip(tensors, others, strict=False))
    return len(tensors) == len(others) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.equal(_as_bytes(a), _as_bytes(b)) for a, b in pairs
    )


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


COMPRESSED = frozenset({torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})


class Whole:
    """A tensor without one storage, such as a sparse one: moved and put back by a copy of all of it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.original = tensor.detach().clone()

    def fresh(self) -> None:
        """Give it newly allocated memory with its original values."""
        copied = self.original.clone()
        if self.tensor.layout not in COMPRESSED:
            self.tensor.data = copied
            return
        # Assigning to ``data`` leaves the components of a compressed sparse tensor as they are.
        copied.requires_grad_(self.tensor.requires_grad)
        try:
            torch.utils.swap_tensors(self.tensor, copied)  # type: ignore[no-untyped-call]
        except RuntimeError:  # something else refers to its memory, such as a graph of its gradient
            self.put_back()

    def put_back(self) -> None:
        """Give it its original values, in place where the layout allows it."""
        if self.tensor.layout not in COMPRESSED:
            self.fresh()
            return
        for own, original in zip(components(self.tensor), components(self.original), strict=True):
            own.copy_(original)

    def changed(self) -> bool:
        """Whether it holds other values than at first."""
        return not same_components(components(self.tensor), components(self.original))
