"""A model of PyTorch's caching allocator for CUDA: which addresses it returns, with memory of the host behind them.

The rules are those of ``c10/cuda/CUDACachingAllocator.cpp`` (get_free_block, should_split, get_allocation_size,
try_merge_blocks, release_cached_blocks, find_expandable_block) with the constants of ``c10/core/AllocatorConfig.h``.
One stream, no private pools, and no limit to the size of blocks that are split.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import weakref
from dataclasses import dataclass, field

import torch

from torchduet.bench.inputs.slabs import Usage

MIN_BLOCK, SMALL_SIZE, SMALL_BUFFER = 512, 1 << 20, 2 << 20  # kMinBlockSize, kSmallSize, kSmallBuffer
LARGE_BUFFER, MIN_LARGE_ALLOC, ROUND_LARGE = 20 << 20, 10 << 20, 2 << 20  # kLargeBuffer, kMinLargeAlloc, kRoundLarge
ADDRESSES = 16 << 30  # reserved, not used
NORESERVE = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE, which Python names since 3.13
EXPANDABLE = ADDRESSES // 4  # addresses of an expandable segment


@dataclass
class Block:
    """Bytes of a segment, free or not."""

    at: int
    size: int
    free: bool = True


@dataclass
class Segment:
    """What one cudaMalloc has returned, or an expandable segment; its blocks by address."""

    at: int
    size: int
    small: bool
    expandable: bool = False
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blocks = [Block(self.at, self.size)]

    @property
    def is_free(self) -> bool:
        return len(self.blocks) == 1 and self.blocks[0].free


class CachingAllocator:
    """Returns addresses as PyTorch's allocator does; the memory behind them is reserved, and used when it is touched.

    Args:
        expandable: as with ``expandable_segments:True``.
        total: bytes of the device.
    """

    def __init__(self, *, expandable: bool = False, total: int = 80 << 30) -> None:
        self._arena = mmap.mmap(-1, ADDRESSES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._arena))
        self._begin = -(-begin // ROUND_LARGE) * ROUND_LARGE
        self._expandable, self._total = expandable, total
        self._segments: list[Segment] = []
        self.reserved_most = 0

    def malloc(self, size: int) -> int:
        """The address of a block for this many bytes.

        Raises:
            torch.OutOfMemoryError: the device has not so much.
        """
        size = max(MIN_BLOCK, -(-size // MIN_BLOCK) * MIN_BLOCK)
        small = size <= SMALL_SIZE
        segment, block = self._best(size, small) or self._new(size, small)
        remaining = block.size - size
        if remaining >= MIN_BLOCK if small or self._expandable else remaining > SMALL_SIZE:
            index = segment.blocks.index(block)
            segment.blocks.insert(index + 1, Block(block.at + size, remaining))
            block.size = size
        block.free = False
        self.reserved_most = max(self.reserved_most, self.reserved)
        return block.at

    def _best(self, size: int, small: bool) -> tuple[Segment, Block] | None:
        """The smallest free block that fits, the one at the lowest address among equals."""
        fitting = [
            (block.size, block.at, segment, block)
            for segment in self._segments
            if segment.small == small
            for block in segment.blocks
            if block.free and block.size >= size
        ]
        return min(fitting, key=lambda found: found[:2])[2:] if fitting else None

    def _new(self, size: int, small: bool) -> tuple[Segment, Block]:
        wanted = SMALL_BUFFER if small else LARGE_BUFFER
        if not small and size >= MIN_LARGE_ALLOC:
            wanted = -(-size // ROUND_LARGE) * ROUND_LARGE
        if self.reserved + wanted > self._total:
            self.empty_cache()
        if self.reserved + wanted > self._total:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        at = self._begin  # the lowest free addresses, as those of a driver that uses again what it was given back
        if self._expandable:
            wanted = EXPANDABLE
        for taken in sorted(self._segments, key=lambda segment: segment.at):
            if at + wanted <= taken.at:
                break
            at = taken.at + taken.size
        segment = Segment(at, wanted, small, self._expandable)
        self._segments.append(segment)
        return segment, segment.blocks[0]

    def free(self, at: int) -> None:
        """Take a block back, and merge it with its free neighbours."""
        for segment in self._segments:
            if segment.at <= at < segment.at + segment.size:
                next(block for block in segment.blocks if block.at == at).free = True
                merged: list[Block] = []
                for block in segment.blocks:
                    if merged and merged[-1].free and block.free:
                        merged[-1].size += block.size
                    else:
                        merged.append(block)
                segment.blocks = merged

    def empty_cache(self) -> None:
        """Give segments without a tensor back to the device."""
        self._segments = [segment for segment in self._segments if not segment.is_free]

    @property
    def reserved(self) -> int:
        """Bytes of all segments; of an expandable one, up to its last block that is not free."""
        return sum(
            segment.blocks[-1].at - segment.at if segment.expandable else segment.size for segment in self._segments
        )

    @property
    def allocated(self) -> int:
        """Bytes of all blocks that are not free."""
        return sum(block.size for segment in self._segments for block in segment.blocks if not block.free)

    def usage(self, _: torch.device) -> Usage:
        """In place of ``slabs.usage``."""
        return Usage(self._total - self.allocated, self.reserved, self._total)

    def allocate(self, size: int, _: torch.device | None = None) -> torch.Tensor:
        """In place of ``slabs.allocate``: the block is free again when no storage refers to it any more."""
        at = self.malloc(size)
        buffer = (ctypes.c_char * size).from_address(at)
        weakref.finalize(buffer, self.free, at)
        return torch.frombuffer(buffer, dtype=torch.uint8)
