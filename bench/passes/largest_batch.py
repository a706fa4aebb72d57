"""The largest batch that fits into an accelerator's memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from time import monotonic
from typing import Any

from torchduet.bench.cases.case import Case
from torchduet.bench.record.schema import HeadroomRecord
from torchduet.bench.timing.callables import prepare
from torchduet.bench.timing.conversions import convert
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.placements import tensors_in
from torchduet.bench.timing.precision import matmul_precision
from torchduet.suites.workload import Workload

AXIS = "batch"
MAX_SECONDS = 20.0
PRECISION = 16  # found to within a sixteenth
HOST_SHARE = 0.25  # of the host's free memory that inputs may take, as they are made there

Fits = Callable[[int], int | None]


def search(
    fits: Fits, start: int, most: int, seconds: float = MAX_SECONDS, now: Callable[[], float] = monotonic
) -> HeadroomRecord:
    """Double the batch until it no longer fits, then halve the interval.

    Args:
        fits: batch → bytes at the most, or None where it does not fit.
        start: a batch that was measured, so that it fits.
        most: the largest to try.

    Returns:
        The largest that was seen to fit, what it took, and what ended the search.
    """
    deadline = now() + seconds
    low, high = start, None
    held = fits(start) or 0
    while now() < deadline:
        if high is None:
            batch = min(2 * low, most)
            if batch == low:
                return HeadroomRecord(batch=low, bytes=held, limit="host")
        elif high - low <= max(1, low // PRECISION):
            return HeadroomRecord(batch=low, bytes=held, limit="memory")
        else:
            batch = (low + high) // 2
        found = fits(batch)
        if found is None:
            high = batch
        else:
            low, held = batch, found
    return HeadroomRecord(batch=low, bytes=held, limit="time")


def largest_batch(workload: Workload, case: Case) -> HeadroomRecord | None:
    """Of an eager case with an axis ``batch`` on a device whose allocator says what it takes; None for others.

    It is tried out with fresh inputs.
    """
    size = dict(case.size)
    batch = size.get(AXIS)
    on = device_of(case.device)
    allocator = on.allocator()
    if allocator is None or case.mode != "eager" or not isinstance(batch, int):
        return None
    device = on.torch_device

    def fits(number: int) -> int | None:
        gc.collect()
        allocator.empty_cache()
        allocator.reset_peaks()
        try:
            inputs = tuple(workload.inputs(device, **{**size, AXIS: number}))
            convert(inputs, case)
            prepared = prepare(workload, case, inputs)
            with matmul_precision(case.precision):
                for _ in range(2):  # an optimiser makes its state in the first
                    prepared.call(*prepared.args)
            on.synchronize()
            return allocator.peak_reserved()
        except RuntimeError:  # out of memory, of cuBLAS too; or more elements than an index can count
            return None

    free = _free_host_bytes()
    inputs = workload.inputs(device, **size)
    of_one = max(1, sum(_bytes(value) for value in tensors_in(inputs)) // batch)
    del inputs
    kept = allocator.reserved()  # by the family's own tensors
    found = search(fits, batch, max(batch, int(HOST_SHARE * free) // of_one))
    gc.collect()
    allocator.empty_cache()
    found["bytes"] = max(0, found["bytes"] - kept)
    return found


def _bytes(tensor: Any) -> int:
    return int(tensor.untyped_storage().nbytes())


def _free_host_bytes() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 4 << 30
