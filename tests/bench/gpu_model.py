"""A model of a GPU at torch.cuda's interface: launches take host time, kernels run in order, queues are finite.

Nothing is computed. The host's clock is virtual, so that results do not depend on the machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from torchduet.bench.timing import cuda_clock
from torchduet.bench.timing.gpu.sm_clock import SmClock
from torchduet.bench.timing.slowed import delay

LATENCY = 4e-6  # from the end of a launch on the host to the kernel's start on an idle device
PAUSE = 1e-6  # between two kernels of a stream
RECORD = 5e-7  # of the host, to record an event
QUEUE = 1024  # launches that can be pending
CYCLE = 1e-9
DEFAULT = "default"


class ModelGpu:
    """One GPU with streams.

    Attributes:
        now: the host's clock, in seconds.
        blocked: how often a launch found the queue full.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.blocked = 0
        self.log: list[str] = []
        self._ends: dict[str, float] = {}
        self._pending: list[float] = []

    def launch(self, seconds: float, host: float = 5e-6, stream: str = DEFAULT) -> None:
        """Launch a kernel of ``seconds``, which takes the host ``host`` seconds, or until the queue has room."""
        self.now += host
        while self._pending and self._pending[0] <= self.now:
            heapq.heappop(self._pending)
        if len(self._pending) >= QUEUE:
            self.blocked += 1
            self.now = max(self.now, heapq.heappop(self._pending))
        end = max(self.now + LATENCY, self._ends.get(stream, 0.0) + PAUSE) + seconds
        self._ends[stream] = end
        heapq.heappush(self._pending, end)

    def reached(self, stream: str = DEFAULT) -> float:
        """When the device reaches a mark put into the stream now."""
        self.now += RECORD
        return max(self.now + LATENCY, self._ends.get(stream, 0.0))

    def synchronize(self, *_: object) -> None:
        """Let the host wait for all streams."""
        self.log.append("synchronize")
        self.now = max(self.now, *self._ends.values()) + 1e-6 if self._ends else self.now + 1e-6

    def sleep(self, cycles: int) -> None:
        """The delay kernel."""
        self.launch(cycles * CYCLE)


def event_class(gpu: ModelGpu) -> type:
    """torch.cuda.Event on this GPU."""

    class Event:
        def __init__(self, enable_timing: bool = False) -> None:
            assert enable_timing
            self.at: float | None = None

        def record(self, stream: str = DEFAULT) -> None:
            self.at = gpu.reached(stream)

        def synchronize(self) -> None:
            assert self.at is not None
            gpu.now = max(gpu.now, self.at)

        def elapsed_time(self, end: Event) -> float:
            assert self.at is not None
            assert end.at is not None
            assert gpu.now >= end.at, "the end event was not waited for"
            return (end.at - self.at) * 1e3

    return Event


class OnTheHost(TorchFunctionMode):
    """Tensors for ``cuda`` are made on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda":
            kwargs["device"] = torch.device("cpu")
        return func(*args, **kwargs)


@contextmanager
def _device(_: object) -> Iterator[None]:
    yield


def installed(monkeypatch: pytest.MonkeyPatch) -> ModelGpu:
    """A new model in place of torch.cuda, and of the clock that CUDA's clock reads."""
    gpu = ModelGpu()
    monkeypatch.setattr(torch.cuda, "Event", event_class(gpu))
    monkeypatch.setattr(torch.cuda, "synchronize", gpu.synchronize)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _=None: DEFAULT)
    monkeypatch.setattr(torch.cuda, "device", _device)
    monkeypatch.setattr(torch.cuda, "_sleep", gpu.sleep)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(L2_cache_size=1000))
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    for name in ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: 0)
    monkeypatch.setattr(SmClock, "after_block", lambda _: None)
    for module in (cuda_clock, delay):
        monkeypatch.setattr(module, "perf_counter", lambda: gpu.now)
    return gpu
