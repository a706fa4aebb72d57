"""Searches for the largest batch that fits into an accelerator's memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from time import monotonic
from typing import Any

from torchduet.bench.cases.case import Case
from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.memory import has_storage
from torchduet.bench.record.schema import HeadroomRecord
from torchduet.bench.timing.callables import prepare
from torchduet.bench.timing.conversions import convert
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.precision import matmul_precision
from torchduet.suites.workload import Workload

AXIS = "batch"
MAX_SECONDS = 20.0
PRECISION = 16  # the result is exact to within a sixteenth
HOST_SHARE = 0.25  # of the host's free memory for the inputs, which are made there

Fits = Callable[[int], int | None]


def search(
    fits: Fits, start: int, largest: int, seconds: float = MAX_SECONDS, now: Callable[[], float] = monotonic
) -> HeadroomRecord:
    """Double the batch until it no longer fits, then halve the interval.

    Args:
        fits: batch → peak bytes, or None where it does not fit.
        start: a batch that was measured, so that it fits.
        largest: the largest batch to try.

    Returns:
        The largest batch that was found to fit, its bytes, and what ended the search.
    """
    deadline = now() + seconds
    low, high = start, None
    peak = fits(start) or 0
    while now() < deadline:
        if high is None:
            batch = min(2 * low, largest)
            if batch == low:
                return HeadroomRecord(batch=low, bytes=peak, limit="host")
        elif high - low <= max(1, low // PRECISION):
            return HeadroomRecord(batch=low, bytes=peak, limit="memory")
        else:
            batch = (low + high) // 2
        used = fits(batch)
        if used is None:
            high = batch
        else:
            low, peak = batch, used
    return HeadroomRecord(batch=low, bytes=peak, limit="time")


def largest_batch(workload: Workload, case: Case) -> HeadroomRecord | None:
    """Of an eager case with an axis ``batch`` on a device whose allocator has statistics; None for others.

    The calls use new inputs.
    """
    size = dict(case.size)
    batch = size.get(AXIS)
    target = device_of(case.device)
    allocator = target.allocator()
    if allocator is None or case.mode != "eager" or type(batch) is not int:
        return None
    device = target.torch_device

    def fits(number: int) -> int | None:
        gc.collect()
        allocator.empty_cache()
        allocator.reset_peaks()
        try:
            inputs = convert(workload.make(device, {**size, AXIS: number}), case)
            gc.collect()
            allocator.empty_cache()
            allocator.reset_peaks()  # what the inputs were made of is no part of what a call needs
            prepared = prepare(workload, case, inputs)
            with matmul_precision(case.precision):
                for _ in range(2):  # an optimiser creates its state in the first
                    prepared.call(*prepared.args)
            target.synchronize()
            return allocator.peak_reserved()
        except RuntimeError:  # out of memory, also in cuBLAS; or more elements than an index can count
            return None

    free = _free_host_bytes()
    inputs = workload.make(device, size)
    sample_bytes = max(1, sum(_bytes(tensor) for tensor in tensors_in(inputs)) // batch)
    del inputs
    own_bytes = allocator.reserved()  # of the family's own tensors
    record = search(fits, batch, max(batch, int(HOST_SHARE * free) // sample_bytes))
    gc.collect()
    allocator.empty_cache()
    record["bytes"] = max(0, record["bytes"] - own_bytes)
    return record


def _bytes(tensor: Any) -> int:
    return int(tensor.untyped_storage().nbytes()) if has_storage(tensor) else 0


def _free_host_bytes() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 4 << 30
