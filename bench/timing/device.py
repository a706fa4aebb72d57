"""A device as measuring needs it: the interface that every kind of device has, and the host's own processor.

The other kinds are in ``device_accelerator`` and ``device_cuda``; which name is of which kind says ``device_registry``.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import ClassVar

import torch
from torch.profiler import ProfilerActivity

from torchduet.bench.host.machine import NOT_ON_ACCELERATORS, NOT_ON_HOSTS, Accelerator
from torchduet.bench.timing.clock import Clock, CpuClock
from torchduet.suites.workload import PRECISIONS


class Allocator:
    """A device's caching allocator and its statistics, in bytes.

    Args:
        statistics: the module that has them: ``torch.accelerator``, or ``torch.cuda`` with functions of the same names.
    """

    def __init__(self, statistics: ModuleType, device: torch.device) -> None:
        self._statistics, self._device = statistics, device

    def empty_cache(self) -> None:
        """Give back to the device what no tensor uses."""
        self._statistics.empty_cache()

    def reset_peaks(self) -> None:
        """Let both peaks begin anew from what is held now."""
        self._statistics.reset_peak_memory_stats(self._device)

    def allocated(self) -> int:
        """What tensors hold."""
        return int(self._statistics.memory_allocated(self._device))

    def reserved(self) -> int:
        """What was taken from the device."""
        return int(self._statistics.memory_reserved(self._device))

    def peak_allocated(self) -> int:
        """The most that tensors have held."""
        return int(self._statistics.max_memory_allocated(self._device))

    def peak_reserved(self) -> int:
        """The most that was taken from the device."""
        return int(self._statistics.max_memory_reserved(self._device))


class Device(ABC):
    """One device, such as ``cuda:1``. Making one touches nothing: a process that only plans may make any.

    A kind of device from elsewhere is a class of this interface, named by an entry point of the group
    ``torchduet.devices``; see :mod:`torchduet.bench.timing.device_registry`.

    Attributes:
        name: as in a case.
        asynchronous: calls return before the device has finished what they launch.
        host_memory: its tensors lie in the host's memory, where the profiler sees every allocation.
        waits_in_a_kernel: :meth:`delay` can keep it waiting.
        precisions: those that it has.
        energy_counter: where its energy is counted: ``nvml``, ``rapl``, or nowhere (``""``).
        survives_fork: a process that was forked can use it, as long as the one that forked has not.
        largest_product: side of the largest matrices that its ceiling is looked for with.
        working_sets: bytes of memory traffic that its ceilings are measured at.
        long_working_set: bytes from which on filling one takes so long that it is left out where time is short.
    """

    asynchronous: ClassVar[bool] = True
    host_memory: ClassVar[bool] = False
    waits_in_a_kernel: ClassVar[bool] = False
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
        """Where its tensors are made."""
        return torch.device(self.name)

    @property
    def autocast_type(self) -> str:
        """What ``torch.autocast`` and ``torch.amp.GradScaler`` call it."""
        return self.torch_device.type

    @classmethod
    @abstractmethod
    def found(cls, kind: str) -> Sequence[Accelerator] | None:
        """Those of this kind that the machine has; None of a kind that :func:`torchduet.bench.host.machine.probe`
        describes. It may initialise the device's driver.
        """

    @classmethod
    def why_none(cls, kind: str) -> str:
        """What it takes to have one, where :meth:`found` finds none."""
        return f"PyTorch finds no {kind} device here; install its driver and a PyTorch, or a backend, that supports it"

    @classmethod
    def give_back_memory(cls, kind: str) -> None:
        """Give back what the allocator of this kind holds free, if this process has used it."""
        del kind  # most hold nothing

    @abstractmethod
    def clock(self) -> Clock:
        """A new clock for its blocks."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until it has finished all that was launched."""

    def allocator(self) -> Allocator | None:
        """Its allocator; None where that keeps no statistics."""
        return None

    def delay(self, seconds: float) -> Callable[[], None]:
        """A function that keeps it waiting for about so long, where it ``waits_in_a_kernel``; returns at once."""
        raise NotImplementedError(f"{self.name}: nothing keeps it waiting")

    def look_at_newest_recordings_first(self) -> None:  # noqa: B027 - most kinds record nothing
        """After inputs have moved, let inductor look for its recorded graphs among the newest first."""

    def unusable(self) -> bool:
        """Whether nothing works on it any more in this process: what is called later is not to blame."""
        return False

    def context_bytes(self, uuid: str) -> int | None:
        """What using it takes of its memory in this process beside the tensors; None where that is not known."""
        del uuid
        return None

    def profiler_activities(self) -> list[ProfilerActivity]:
        """What ``torch.profiler`` is to record."""
        return [ProfilerActivity.CPU]


class CpuDevice(Device):
    """The host's own processor."""

    asynchronous = False
    host_memory = True
    precisions = tuple(name for name in PRECISIONS if name not in NOT_ON_HOSTS)
    energy_counter = "rapl"
    largest_product = 2048
    working_sets = (2**18, 2**20, 2**22, 2**24, 2**26, 2**27)
    long_working_set = 2**26

    @classmethod
    def found(cls, kind: str) -> None:
        """It is described with the machine."""

    def clock(self) -> Clock:
        """The wall clock."""
        return CpuClock()

    def synchronize(self) -> None:
        """Nothing to wait for."""
