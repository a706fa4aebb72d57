"""Counts a call's operators and measures its peak memory, in calls of their own after the timing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.timed_case import TimedCase

NOT_WORK = ("profiler", "prim")  # namespaces of operators that compute nothing
NO_KERNEL = ("_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "_local_scalar_dense", "detach")

SETTLED_CALLS = 2  # after a renewal, within the peak of memory: the second has the optimiser's state of the first


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operators below autograd, backward included, but no views, which move no data."""

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
    """The number of operators that one call dispatches, without views."""
    counter = _Counter()
    with counter:
        call()
    return counter.operators


def peak_memory(call: Callable[[], object], device: str) -> tuple[int | None, int | None]:
    """The peak of a call's memory: (bytes of tensors, bytes that the allocator reserved); None where not known.

    Both are beyond the bytes before the call, after the allocator's cache was emptied. The second includes
    fragmentation and rounding. On an accelerator they are the caching allocator's own peaks. On the CPU the first comes
    from the profiler's record of every allocation and release by PyTorch's allocator (without other libraries' memory),
    and the second is None.
    """
    target = device_of(device)
    if target.host_memory:
        return _profiled_peak(call), None
    allocator = target.allocator()
    if allocator is None:
        return None, None
    target.synchronize()
    allocator.empty_cache()  # of other cases' memory
    allocated, reserved = allocator.allocated(), allocator.reserved()
    allocator.reset_peaks()
    call()
    target.synchronize()
    return allocator.peak_allocated() - allocated, allocator.peak_reserved() - reserved


def whole_peak(run: TimedCase) -> tuple[int | None, int | None]:
    """The peak of memory (bytes of tensors, bytes reserved) of making a case again and calling it twice.

    So what a wrapper holds of its own counts, such as buckets of gradients, and the optimiser's state.
    """

    def work() -> None:
        renewed = run.prepared.renew() if run.prepared.renew is not None else run.prepared.call
        for _ in range(SETTLED_CALLS):
            run.ready()
            renewed(*run.prepared.args)
        run.clock.synchronize()

    with run.unmetered(), run.in_its_state():
        return peak_memory(work, run.prepared.case.device)


def _profiled_peak(call: Callable[[], object]) -> int:
    """The most bytes that were allocated within a call and not yet released.

    A release of memory from before the call does not count: the profiler reports it only where it has recorded that
    memory, which depends on earlier calls and on addresses.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    del result
    assert profiler.profiler is not None
    sizes: dict[int, int] = {}  # address → bytes of what the call has allocated
    held = peak = 0
    for _, address, size in sorted(_allocations(profiler.profiler.kineto_results.experimental_event_tree())):
        if size > 0:
            sizes[address] = size
            held += size
            peak = max(peak, held)
        else:
            held -= sizes.pop(address, 0)
    return peak


def _allocations(events: Sequence[Any]) -> Iterator[tuple[int, int, int]]:
    """Time, address and bytes of each allocation, and of each release with negative bytes, in a tree of events."""
    waiting = list(events)
    while waiting:
        event = waiting.pop()
        waiting += event.children
        if event.tag == _EventType.Allocation:
            yield event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size
