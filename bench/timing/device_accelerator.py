"""Accelerators through ``torch.accelerator``, which is common to all: XPU, MPS, and out-of-tree backends.

They are timed by the wall clock with a synchronisation before and after each block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.profiler import ProfilerActivity, supported_activities

from torchduet.bench.host.compilers import CPP_COMPILERS, SYCL_COMPILER, no_triton_compiler
from torchduet.bench.host.machine import (
    CUDA_GRAPHS,
    FP16_NEEDS,
    GRAPH_NEEDS,
    NOT_ON_ACCELERATORS,
    TF32_NEEDS,
    Accelerator,
)
from torchduet.bench.record.knobs import number_format
from torchduet.bench.timing.clock import Clock, SynchronizedClock
from torchduet.bench.timing.device import Allocator, Device
from torchduet.suites.workload import COMPILED, PURE

CACHE_BYTES = 512 << 20  # filled before a cold call if the cache's size is not known: no last-level cache is larger
NEEDS = {
    **{"tf32": TF32_NEEDS, "fp16": FP16_NEEDS, "bf16": "bf16 needs a device with autocast"},
    **{name: f"{name} needs a device that computes in {number_format(name)}" for name in PURE},
}


class AcceleratorDevice(Device):
    """A device of the kind that ``torch.accelerator`` supports in this build of PyTorch."""

    @classmethod
    def detect(cls, kind: str) -> Sequence[Accelerator] | None:
        """All devices of ``torch.accelerator``, if they are of this kind."""
        if not _is_current(kind):
            return ()
        lacks = cls._lacks(kind)
        return tuple(
            Accelerator(f"{kind}:{index}", *_name_and_memory(kind, index), lacks, survives_fork=cls.survives_fork)
            for index in range(torch.accelerator.device_count())
        )

    @classmethod
    def _lacks(cls, kind: str) -> tuple[tuple[str, str], ...]:
        needs = NEEDS | NOT_ON_ACCELERATORS
        lacks = {precision: why for precision, why in needs.items() if precision not in cls.precisions}
        if not torch.amp.is_autocast_available(kind):
            lacks |= dict.fromkeys(("bf16", "fp16"), f"PyTorch has no autocast for {kind}")
        if why := cls.why_not_compiled(kind):
            lacks |= dict.fromkeys(COMPILED, why)
        return tuple((lacks | dict.fromkeys(CUDA_GRAPHS, GRAPH_NEEDS)).items())

    @classmethod
    def why_not_compiled(cls, kind: str) -> str:
        """Why torch.compile does not support it; "" if it does."""
        from torch.utils._triton import has_triton

        if not has_triton():
            return f"torch.compile on {kind} needs a Triton that supports it"
        return no_triton_compiler(kind, (*CPP_COMPILERS, SYCL_COMPILER))  # Intel's builds its module in C++

    @classmethod
    def give_back_memory(cls, kind: str) -> None:
        """Empty the allocator's cache."""
        if _is_current(kind) and _is_initialized(kind):
            torch.accelerator.empty_cache()

    def clock(self) -> Clock:
        """The wall clock with synchronisation."""
        return SynchronizedClock(self.synchronize, self.torch_device, self._cache_bytes)

    def _cache_bytes(self) -> int:
        try:
            properties = torch.get_device_module(self.torch_device).get_device_properties(self.torch_device)
        except (AttributeError, RuntimeError):
            return CACHE_BYTES
        sizes = (getattr(properties, name, 0) for name in ("L2_cache_size", "last_level_cache_size"))
        return max(sizes) or CACHE_BYTES

    def synchronize(self) -> None:
        """Wait until it has finished all that was launched."""
        torch.accelerator.synchronize(self.torch_device)

    def allocator(self) -> Allocator | None:
        """The allocator, with the statistics of ``torch.accelerator``; None for kinds without statistics."""
        allocator = Allocator(torch.accelerator, self.torch_device)
        try:
            allocator.peak_reserved()
        except (AttributeError, RuntimeError):  # MPS up to PyTorch 2.12: pytorch/pytorch#167447
            return None
        return allocator

    def current(self) -> AbstractContextManager[object]:
        """``torch.accelerator.device_index``, once the device's driver is initialised."""
        index = self.torch_device.index
        started = index is not None and _is_current(self.torch_device.type) and _is_initialized(self.torch_device.type)
        return torch.accelerator.device_index(index) if started else nullcontext()

    def unusable(self) -> bool:
        """Whether synchronising with it raises an error."""
        if not _is_initialized(self.torch_device.type):
            return False
        try:
            self.synchronize()
        except RuntimeError:
            return True
        return False

    def profiler_activities(self) -> list[ProfilerActivity]:
        """The host's, and the device's own if the profiler supports it."""
        supported = supported_activities()  # type: ignore[no-untyped-call]
        own = [activity for activity in supported if activity.name.lower() == self.torch_device.type]
        return [ProfilerActivity.CPU, *own]


class XpuDevice(AcceleratorDevice):
    """An Intel GPU."""

    @classmethod
    def why_none(cls, kind: str) -> str:
        """The requirements of PyTorch's own page on XPU."""
        return (
            f"PyTorch finds no {kind} device here; it needs an Intel GPU with its driver and a PyTorch built for it "
            "(pytorch.org/get-started)"
        )


class MpsDevice(AcceleratorDevice):
    """The GPU of a Mac, by Metal. It has no float64; the check computes that on the CPU."""

    survives_fork = False  # Metal does not work in a fork of a process that has loaded macOS' frameworks

    @classmethod
    def why_none(cls, kind: str) -> str:
        """The requirements of PyTorch's own page on MPS."""
        return f"PyTorch finds no {kind} device here; it needs a Mac with Apple silicon and macOS 14 or newer"

    @classmethod
    def why_not_compiled(cls, kind: str) -> str:
        """Always "": inductor generates Metal code itself."""
        del kind
        return ""

    @classmethod
    def give_back_memory(cls, kind: str) -> None:
        """Empty the allocator's cache; ``torch.accelerator`` supports this for MPS only since PyTorch 2.13."""
        if _is_current(kind):
            torch.mps.empty_cache()


def _is_current(kind: str) -> bool:
    """Whether ``torch.accelerator`` supports devices of this kind, and the machine has any."""
    current = torch.accelerator.current_accelerator(check_available=True)
    return current is not None and current.type == kind


def _is_initialized(kind: str) -> bool:
    """Whether this process has used a device of this kind; true if its module has no ``is_initialized``."""
    try:
        is_initialized: Callable[[], bool] | None = getattr(torch.get_device_module(kind), "is_initialized", None)
    except RuntimeError:  # there is no such module: the backend is not installed
        return False
    return is_initialized is None or is_initialized()


def _name_and_memory(kind: str, index: int) -> tuple[str, int | None]:
    """The product name and the bytes of memory; the kind and None where PyTorch does not report them."""
    try:
        properties: Any = torch.get_device_module(kind).get_device_properties(index)
    except (AttributeError, RuntimeError):
        return f"{kind.upper()} device", None
    memory = getattr(properties, "total_memory", None)
    return str(getattr(properties, "name", f"{kind.upper()} device")), None if memory is None else int(memory)
