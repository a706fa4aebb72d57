"""The interface of a device for measuring, and its implementation for the CPU.

The other kinds are in ``device_accelerator`` and ``device_cuda``; ``device_registry`` finds the class of a device name.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType
from typing import ClassVar

import torch
from torch.profiler import ProfilerActivity

from torchduet.bench.host.machine import NOT_ON_ACCELERATORS, NOT_ON_HOSTS, Accelerator
from torchduet.bench.timing.clock import Clock, CpuClock, ExtraWork
from torchduet.suites.workload import PRECISIONS


class Allocator:
    """A device's caching allocator and its statistics, in bytes.

    Args:
        statistics: the module with the functions: ``torch.accelerator``, or ``torch.cuda``, which has the same names.
    """

    def __init__(self, statistics: ModuleType, device: torch.device) -> None:
        self._statistics, self._device = statistics, device

    def empty_cache(self) -> None:
        """Return cached memory that no tensor uses to the device."""
        self._statistics.empty_cache()

    def reset_peaks(self) -> None:
        """Reset both peaks to the current values."""
        self._statistics.reset_peak_memory_stats(self._device)

    def allocated(self) -> int:
        """Bytes that tensors hold."""
        return int(self._statistics.memory_allocated(self._device))

    def reserved(self) -> int:
        """Bytes that the allocator holds."""
        return int(self._statistics.memory_reserved(self._device))

    def peak_allocated(self) -> int:
        """The peak of :meth:`allocated`."""
        return int(self._statistics.max_memory_allocated(self._device))

    def peak_reserved(self) -> int:
        """The peak of :meth:`reserved`."""
        return int(self._statistics.max_memory_reserved(self._device))


class Device(ABC):
    """One device, such as ``cuda:1``. The constructor does not use the device: a process that only plans may call it.

    Another package adds a kind of device with a subclass, named by an entry point of the group ``torchduet.devices``;
    see :mod:`torchduet.bench.timing.device_registry`.

    Attributes:
        name: as in a case.
        asynchronous: calls return before the device has finished their work.
        host_memory: its tensors are in the host's memory, where the profiler records every allocation.
        has_delay_kernel: :meth:`delay` can keep it waiting.
        has_float64: it computes in float64; where it may lack that, as an Intel or Apple GPU, it counts as lacking.
        precisions: those that it supports.
        energy_counter: the source of its energy: ``nvml``, ``rapl``, or none (``""``).
        survives_fork: a forked process can use it, provided that its parent has not.
        largest_product: side of the largest matrices in the measurement of its ceiling.
        working_sets: bytes of memory traffic at which its ceilings are measured.
        long_working_set: working sets of this many bytes or more are skipped where time is short.
    """

    asynchronous: ClassVar[bool] = True
    host_memory: ClassVar[bool] = False
    has_delay_kernel: ClassVar[bool] = False
    has_float64: ClassVar[bool] = False
    precisions: ClassVar[tuple[str, ...]] = tuple(name for name in PRECISIONS if name not in NOT_ON_ACCELERATORS)
    energy_counter: ClassVar[str] = ""
    survives_fork: ClassVar[bool] = True
    largest_product: ClassVar[int] = 8192
    working_sets: ClassVar[tuple[int, ...]] = (2**24, 2**26, 2**28, 2**30)
    long_working_set: ClassVar[int] = sys.maxsize

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def torch_device(self) -> torch.device:
        """The device of its tensors."""
        return torch.device(self.name)

    @property
    def autocast_type(self) -> str:
        """Its name for ``torch.autocast`` and ``torch.amp.GradScaler``."""
        return self.torch_device.type

    @classmethod
    @abstractmethod
    def detect(cls, kind: str) -> Sequence[Accelerator] | None:
        """The devices of this kind in the machine; None for a kind that :func:`torchduet.bench.host.machine.probe`
        describes. It may initialise the driver.
        """

    @classmethod
    def why_none(cls, kind: str) -> str:
        """Why there is none, and what it requires, where :meth:`detect` finds none."""
        return f"PyTorch finds no {kind} device here; install its driver and a PyTorch, or a backend, that supports it"

    @classmethod
    def give_back_memory(cls, kind: str) -> None:
        """Return the free memory that the allocator of this kind holds, if this process has used it."""
        del kind  # most kinds hold none

    @abstractmethod
    def clock(self) -> Clock:
        """A new clock for blocks on it."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until it has finished all that was launched."""

    def allocator(self) -> Allocator | None:
        """Its allocator; None if that keeps no statistics."""
        return None

    def start(self, *, compiles: bool = False) -> None:  # noqa: B027 - most kinds have nothing to start
        """Start, once per process, what the first calls of all cases would otherwise pay for or not, by chance.

        Args:
            compiles: whether torch.compile will be used for it.
        """

    def delay(self, seconds: float) -> ExtraWork:
        """Work that keeps it busy for about ``seconds`` and returns at once; requires ``has_delay_kernel``."""
        raise NotImplementedError(f"{self.name}: it has no delay kernel")

    def current(self) -> AbstractContextManager[object]:
        """Makes it the current one of its kind, on which code works that names no device, such as a Triton kernel."""
        return nullcontext()

    def prefer_newest_recordings(self) -> None:  # noqa: B027 - most kinds record nothing
        """After inputs have moved, let inductor search its recorded graphs from the newest to the oldest."""

    def unusable(self) -> bool:
        """Whether every later call on it fails in this process, whatever it does."""
        return False

    def context_bytes(self, uuid: str) -> int | None:
        """Bytes of its memory that this process takes beside the tensors; None if not known."""
        del uuid
        return None

    def profiler_activities(self) -> list[ProfilerActivity]:
        """The activities for ``torch.profiler`` to record."""
        return [ProfilerActivity.CPU]

    @contextmanager
    def named_range(self, name: str) -> Iterator[None]:
        """A range that external profilers of this kind of device show under a name; most kinds have none."""
        del name
        yield

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """The part of the process that an external profiler is to record; most kinds of device cannot say so."""
        yield


class CpuDevice(Device):
    """The CPU."""

    asynchronous = False
    host_memory = True
    has_float64 = True
    precisions = tuple(name for name in PRECISIONS if name not in NOT_ON_HOSTS)
    energy_counter = "rapl"
    largest_product = 2048
    working_sets = (2**18, 2**20, 2**22, 2**24, 2**26, 2**27)
    long_working_set = 2**26

    @classmethod
    def detect(cls, kind: str) -> None:
        """None: ``probe`` describes the CPU."""

    def clock(self) -> Clock:
        """The wall clock."""
        return CpuClock()

    def synchronize(self) -> None:
        """Nothing to wait for."""
