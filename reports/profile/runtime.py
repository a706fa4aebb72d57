"""Separates the calls of a GPU's runtime that wait for the GPU from those that launch work."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from torchduet.reports.profile.span import Span

# The host's activities of Kineto (libkineto, ActivityType.h). ROCm's calls of HIP are of the category cuda_runtime.
RUNTIME = (
    "cuda_runtime",
    "cuda_driver",
    "xpu_runtime",
    "xpu_driver",
    "privateuse1_runtime",
    "privateuse1_driver",
    "mtia_runtime",
    "hpu_op",
)
LAUNCHES, WAITS = "launching", "waiting"  # kinds of spans

# ``cudaDeviceSynchronize``, ``cuStreamSynchronize``, ``hipEventSynchronize``, ``zeEventHostSynchronize``; SYCL's own.
_SYNCHRONISES = re.compile(r".*synchroni[sz]e.*|(ur|pi)(Events?Wait|QueueFinish)", re.IGNORECASE)
# Copies without ``Async`` return when they are done (CUDA Runtime API, "API synchronization behavior").
_COPIES = re.compile(
    r"(cuda|hip|musa)Memcpy(2D|3D)?((To|From)(Symbol|Array))?|cuMemcpy(HtoD|DtoH|2D|3D)?|hipMemcpy(HtoD|DtoH)"
    r"|hipMemcpyWithStream"
)
_COPIES_LATER = re.compile(r".*Memcpy.*Async.*")
_SUFFIX = re.compile(r"(_v\d+|_ptsz|_ptds|_spt)+$")
_ON_THE_GPU = ("Memcpy DtoD", "Memcpy PtoP")
_PAGEABLE = re.compile(r"Pageable|Host")
QUEUE_FULL = "Command Buffer Full"  # CUPTI's name for the time in which a launch waits for space in the queue


def told_apart(
    calls: Iterable[Span],
    device: Iterable[Span],
    queue_full: Iterable[Span],
) -> list[Span]:
    """The calls of the runtime, each of the kind ``LAUNCHES`` or ``WAITS``, in order of their starts.

    A launch that waits is renamed, so that it does not share a line with those that do not: a copy into pageable memory
    returns only after it is done (CUDA Runtime API, "API synchronization behavior"), and a launch waits while the
    GPU's queue is full.

    Args:
        calls: of the runtime.
        device: activities of the GPU; a copy has the correlation of the call that started it.
        queue_full: activities named ``QUEUE_FULL``.
    """
    copies = {span.correlation: span for span in device if span.kind == "gpu_memcpy" and span.correlation}
    full = sorted(queue_full, key=lambda span: span.start)
    starts = [span.start for span in full]
    sorted_calls = []
    for call in calls:
        name = _SUFFIX.sub("", call.name)
        copy = copies.get(call.correlation)
        if _SYNCHRONISES.fullmatch(name):
            kind, shown = WAITS, call.name
        elif _COPIES.fullmatch(name):
            waits = copy is None or not copy.name.startswith(_ON_THE_GPU)
            kind, shown = (WAITS if waits else LAUNCHES), call.name
        elif (copy is not None and _returns_after(call, copy)) or _mostly_within(call, full, starts):
            kind, shown = WAITS, f"{call.name} (waits)"
        else:
            kind, shown = LAUNCHES, call.name
        sorted_calls.append(call._replace(kind=kind, name=shown))
    return sorted(sorted_calls, key=lambda span: (span.start, -span.end))


def of_threads_with_operators(calls: Sequence[Span], host: Iterable[Span]) -> list[Span]:
    """The calls of threads that run operators or annotations.

    Other threads poll the GPU in the background (NCCL's watchdog, a DataLoader's pinning): that is no time of a call.
    """
    threads = {span.thread for span in host}
    return [call for call in calls if call.thread in threads]


def by_correlation(calls: Iterable[Span]) -> Mapping[int, Span]:
    """Correlation → the call of the runtime that launched what has it."""
    return {call.correlation: call for call in calls if call.correlation}


def _returns_after(call: Span, copy: Span) -> bool:
    return (
        _COPIES_LATER.fullmatch(call.name) is not None
        and _PAGEABLE.search(copy.name) is not None
        and copy.end <= call.end
    )


def _mostly_within(call: Span, spans: Sequence[Span], starts: Sequence[float]) -> bool:
    """Whether more than half of a call lies within one of the spans; those are in order of their starts."""
    for index in (bisect_left(starts, call.start) - 1, bisect_left(starts, call.start)):
        if 0 <= index < len(spans):
            within = min(call.end, spans[index].end) - max(call.start, spans[index].start)
            if within > (call.end - call.start) / 2:
                return True
    return False
