"""Random places for the storages of inputs on devices whose allocator hands out the same blocks again.

PyTorch's caching allocators for CUDA and XPU return the smallest free block that fits, and that is the one that the
last placement but one has freed: without slabs, a large tensor would alternate between two addresses for the life of
the process. So each storage lies at a random multiple of 512 bytes within a block of its own that is larger, a *slab*;
and blocks of random size are held for some placements, so that the slabs themselves lie elsewhere, too.

A storage begins at its place in the slab, and so do all tensors that view it: their offsets, and what PyTorch derives
from the beginning of a storage, such as the one block in which cuDNN expects the weights of an LSTM, stay as they are.
Such a storage cannot grow (``Tensor.resize_``), nor be sent to another process. Every address remains a multiple of
512, as those of the allocator are: kernels that are chosen by alignment (16 bytes in cuBLAS and inductor) stay the
same. But large tensors no longer begin at a page of 2 MiB, as they mostly do in a program that has just started.

Sources: ``c10/core/AllocatorConfig.h`` for the constants (kMinBlockSize, kSmallSize, kRoundLarge);
``c10/cuda/CUDACachingAllocator.cpp`` for the rules (get_free_block, should_split); ``ATen/DLConvertor.cpp``
(fromDLPack) for a storage that begins within another and keeps it alive; ``ATen/native/cudnn/RNN.cpp``
(try_get_weight_buf). In a model with these rules (``tests/bench/caching_allocator.py``) one tensor of 4 KiB to 381 MiB
had 2 addresses in 64 placements; with ballast alone 2 to 6 in the first 8; with slabs 64 in 64. The allocator held
about 100 MiB more, and one more free block of a large tensor's size, which it gives back when memory is short.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack, to_dlpack  # type: ignore[attr-defined]

KINDS = frozenset({"cuda", "xpu"})  # with an allocator of this kind, and storages that may begin anywhere in a block
GRANULE = 512  # bytes, of which all addresses are multiples
SMALL_BYTES = 1 << 20  # blocks up to this size come from pages of 2 MiB that they share
PAGE_BYTES = 2 << 20
SLACK_BYTES = PAGE_BYTES  # by which a slab exceeds its storage, at most
SMALL_SLACK_BYTES = 64 << 10  # the same for a small storage, whose slab thus stays among the small blocks
ALWAYS_SLACK_BYTES, SLACK_SHARE = 64 << 20, 1 / 16  # of all slabs together: this much, and a share of their storages
UNUSED_SHARE = 1 / 8  # of the memory that is still free: no more slack than this
BALLAST_PAGES = (1, 8)
BALLAST_PLACEMENTS = 4  # for which ballast is held
# Ballast may lie within a free block that a call needs whole, and the call then takes another. With at most a quarter
# of the memory reserved there is room for both.
RESERVED_SHARE = 1 / 4
TRIES = 16  # for an address at which no storage has begun before


class Usage(NamedTuple):
    """A device's memory, in bytes: what tensors can still take, what the allocator holds, and all of it."""

    unused: int
    reserved: int
    total: int


def usage(device: torch.device) -> Usage | None:
    """The present use of a device's memory; None where its driver does not report it."""
    module = torch.get_device_module(device)
    try:
        free, total = module.mem_get_info(device)
    except RuntimeError:  # some drivers for XPU
        return None
    reserved = int(module.memory_reserved(device))
    return Usage(int(free) + reserved - int(module.memory_allocated(device)), reserved, int(total))


def has_slabs(device: torch.device) -> bool:
    """Whether storages on this device are placed in slabs."""
    return device.type in KINDS


def allocate(size: int, device: torch.device) -> Tensor:
    """This many bytes from the device's allocator, from which slabs and ballast come."""
    return torch.empty(size, dtype=torch.uint8, device=device)


def part_of(slab: Tensor, offset: int, size: int) -> torch.UntypedStorage:
    """A storage of its own for some bytes of a slab, which lives as long as the storage.

    Through a capsule of DLPack: ``Tensor.__dlpack__`` refuses tensors of a device that is not the current one.
    """
    return from_dlpack(to_dlpack(slab.narrow(0, offset, size))).untyped_storage()


def slack_for(sizes: Sequence[int], use: Usage | None) -> int:
    """By how many bytes each slab may exceed its storage; 0 where memory is short.

    Args:
        sizes: bytes of the storages that are placed together.
        use: of the device's memory, before they are placed.
    """
    needed = sum(sizes)
    together = ALWAYS_SLACK_BYTES + SLACK_SHARE * needed
    if use is not None:
        together = min(together, UNUSED_SHARE * max(0, use.unused - needed))
    return min(SLACK_BYTES, int(together / max(1, len(sizes))) // GRANULE * GRANULE)


class Slabs:
    """The places of the inputs' storages, from placement to placement."""

    def __init__(self, seed: float) -> None:
        self._rng = random.Random(seed)
        self._slack: dict[torch.device, int] = {}
        self._ballast: dict[torch.device, deque[tuple[Tensor, Tensor]]] = {}
        self._used: set[int] = set()  # addresses at which a storage has begun

    def next_placement(self, sizes: Mapping[torch.device, Sequence[int]]) -> None:
        """Begin another placement of storages with these sizes in bytes; changes what lies between them."""
        for device, of_device in sizes.items():
            use = usage(device)
            self._slack[device] = slack_for(of_device, use)
            if use is None or use.reserved > RESERVED_SHARE * use.total or use.unused < RESERVED_SHARE * use.total:
                self._ballast.pop(device, None)
            else:
                self._add_ballast(device)

    def _add_ballast(self, device: torch.device) -> None:
        small = GRANULE * self._rng.randint(1, SMALL_BYTES // GRANULE)
        pages = PAGE_BYTES * self._rng.randint(*BALLAST_PAGES)
        held = self._ballast.setdefault(device, deque(maxlen=BALLAST_PLACEMENTS))
        try:
            held.append((allocate(small, device), allocate(pages, device)))
        except torch.OutOfMemoryError:  # this process may have less than the device has
            self._ballast.pop(device)

    def storage(self, size: int, device: torch.device) -> torch.UntypedStorage:
        """A storage of this many bytes at a random place, of unknown contents.

        Raises:
            torch.OutOfMemoryError: there is no room even without slack and ballast.
        """
        slack = self._slack.get(device, 0)
        if size + SMALL_SLACK_BYTES <= SMALL_BYTES:
            slack = min(slack, SMALL_SLACK_BYTES)
        try:
            slab = allocate(size + slack, device)
        except torch.OutOfMemoryError:
            self._ballast.pop(device, None)
            self._slack[device] = slack = 0
            slab = allocate(size, device)
        offset = self._offset(slab.data_ptr(), slack)
        return part_of(slab, offset, size) if slack else slab.untyped_storage()

    def _offset(self, begin: int, slack: int) -> int:
        offset = 0
        for _ in range(TRIES):
            offset = GRANULE * self._rng.randint(0, slack // GRANULE)
            if begin + offset not in self._used:
                break
        self._used.add(begin + offset)
        return offset
