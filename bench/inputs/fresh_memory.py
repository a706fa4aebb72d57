"""Newly allocated memory for the storages of a placement, with their original values."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torchduet.bench.inputs.memory import bytes_of, copy_of
from torchduet.bench.inputs.slabs import Slabs, has_slabs

BALLAST_BYTES = (64, 1 << 20)


class Wanted(NamedTuple):
    """A storage that is to move: where it is now, its original values (None: zeros), and whether it may grow."""

    present: torch.UntypedStorage
    original: torch.UntypedStorage | None
    grows: bool


class FreshMemory:
    """Allocates each placement's memory before the last one's is released, with other distances.

    With the allocator of the host, blocks of random size in between prevent it from returning the same addresses or
    the same distances. What :mod:`torchduet.bench.inputs.slabs` says is for devices.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ballast: list[Tensor] = []
        self._slabs: Slabs | None = None

    def copies(self, wanted: Sequence[Wanted]) -> list[torch.UntypedStorage]:
        """New storages with the original values, one for each that is to move."""
        in_slabs = [one.present for one in wanted if self._in_slab(one)]
        if in_slabs:
            self._slabs = self._slabs or Slabs(self._rng.random())
            sizes: dict[torch.device, list[int]] = {}
            for storage in in_slabs:
                sizes.setdefault(storage.device, []).append(storage.nbytes())
            self._slabs.next_placement(sizes)
        ballast: list[Tensor] = []
        copied = [self._copy(one, ballast) for one in wanted]
        self._ballast = ballast
        return copied

    @staticmethod
    def _in_slab(one: Wanted) -> bool:
        return has_slabs(one.present.device) and not one.grows

    def _copy(self, one: Wanted, ballast: list[Tensor]) -> torch.UntypedStorage:
        size, device = one.present.nbytes(), one.present.device
        if self._slabs is not None and self._in_slab(one):
            new = self._slabs.storage(size if one.original is None else one.original.nbytes(), device)
            if one.original is not None:
                new.copy_(one.original, False)
            else:
                bytes_of(new).zero_()
            return new
        ballast.append(torch.empty(self._rng.randint(*BALLAST_BYTES), dtype=torch.uint8, device=device))
        if one.original is not None:
            return copy_of(one.original)
        return torch.zeros(size, dtype=torch.uint8, device=device).untyped_storage()
