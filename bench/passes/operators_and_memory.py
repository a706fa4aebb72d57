"""What is measured of a call after its timing, in passes of their own: operators and peak memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from torchduet.bench.timing.device_registry import device_of

NOT_WORK = ("profiler", "prim")  # namespaces of operators that compute nothing
NO_KERNEL = ("_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "_local_scalar_dense", "detach")


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operators below autograd, backward included; views, which move no data, apart."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        name = func.overloadpacket.__name__
        if not func.is_view and func.namespace not in NOT_WORK and name not in NO_KERNEL:
            self.operators += 1
        return func(*args, **(kwargs or {}))


def count_operators(call: Callable[[], object]) -> int:
    """How many operators one call dispatches, views apart."""
    counter = _Counter()
    with counter:
        call()
    return counter.operators


def peak_memory(call: Callable[[], object], device: str) -> tuple[int | None, int | None]:
    """The most bytes that one call holds at once beyond what was allocated before it, and on an accelerator the most
    that the allocator had taken from the device meanwhile beyond what it could not give back before: what fragmentation
    and rounding add to the first. None where that is not known.

    On an accelerator from the caching allocator's own peaks; on the CPU from the profiler's record of every
    allocation and release by PyTorch's allocator (memory taken by other libraries is not in it).
    """
    on = device_of(device)
    if on.host_memory:
        return _profiled_peak(call), None
    allocator = on.allocator()
    if allocator is None:
        return None, None
    on.synchronize()
    allocator.empty_cache()  # what other cases left there
    before, kept = allocator.allocated(), allocator.reserved()
    allocator.reset_peaks()
    call()
    on.synchronize()
    return allocator.peak_allocated() - before, allocator.peak_reserved() - kept


def _profiled_peak(call: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    del result
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak
