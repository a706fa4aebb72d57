"""The C library's allocator: in the state of a long-lived process, without the free pages of earlier calls."""

from __future__ import annotations

import ctypes
import sys

import torch

MALLOC_CEILING = (32 << 20) - (64 << 10)  # just under DEFAULT_MMAP_THRESHOLD_MAX on 64-bit Linux
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


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
