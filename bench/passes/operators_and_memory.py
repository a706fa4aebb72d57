"""What is measured of a call after its timing, in passes of their own: operators and peak memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from torchduet.bench.host.nvml import READINGS, devices

NOT_WORK = ("profiler", "prim")  # namespaces of operators that compute nothing
USED = {"memory_used_bytes": READINGS["memory_used_bytes"]}
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


def context_bytes(device: str, uuid: str, nvml: Any = None) -> int | None:
    """What CUDA itself takes of a GPU's memory in this process, which must not have used it yet.

    The difference that initialising it makes, without what the caching allocator takes: None where NVML
    does not say, or where the process has initialised it before.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    (gpu,), _ = devices([uuid], nvml)
    if gpu is None:
        return None
    before = gpu.read(USED).get("memory_used_bytes")
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)
    after = gpu.read(USED).get("memory_used_bytes")
    if before is None or after is None:
        return None
    return max(0, int(after) - int(before) - int(torch.cuda.memory_reserved(device)))


def peak_memory(call: Callable[[], object], device: str) -> tuple[int, int | None]:
    """The most bytes that one call holds at once beyond what was allocated before it, and on CUDA the most that
    the allocator had taken from the device meanwhile beyond what it could not give back before: what fragmentation
    and rounding add to the first.

    On CUDA from the caching allocator's own peaks; on the CPU from the profiler's record of every
    allocation and release by PyTorch's allocator (memory taken by other libraries is not in it).
    """
    if device != "cpu":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()  # what other cases left there
        before, kept = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        held = int(torch.cuda.max_memory_allocated(device) - before)
        return held, int(torch.cuda.max_memory_reserved(device) - kept)
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
    return peak, None
