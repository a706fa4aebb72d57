"""Measures joules per call with the hardware's counters.

A window lasts at least 5 s, begins and ends where the counter changes, and needs ten changes: a counter takes a new
value only every few milliseconds to tenths of a second. It counts the whole GPU, or the CPU's packages: this includes
idle power and the work of other processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any, Protocol, runtime_checkable

from torchduet.bench.host.nvml import COUNTERS, devices
from torchduet.bench.passes.back_to_back import Window
from torchduet.bench.record.schema import EnergyRecord
from torchduet.bench.timing.device_registry import device_of

WINDOW_SECONDS = 5.0
MIN_CHANGES = 10
ATTEMPTS, RETRY_SECONDS = 5, 0.01  # of a reading that fails for a reason that may pass, such as a time-out
ENERGY = {"energy": COUNTERS["energy"]}
RAPL = Path("/sys/class/powercap")


@runtime_checkable
class EnergyCounter(Protocol):
    """Counts joules."""

    source: str

    def joules(self) -> float:
        """Joules since an arbitrary moment."""


@dataclass
class GpuCounter:
    """A GPU's total energy (NVML, nvmlDeviceGetTotalEnergyConsumption; Volta and newer)."""

    device: Any
    source: str = "nvml"

    def joules(self) -> float:
        """Joules since the driver was loaded.

        An error that may pass is waited out for a moment.

        Raises:
            OSError: it cannot be read any more.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                sleep(RETRY_SECONDS)
            readings = self.device.read(ENERGY)
            if readings:
                return float(readings["energy"])
            if why := self.device.lost or self.device.missing.get("energy"):
                raise OSError(why)
        raise OSError(f"its counter could not be read {ATTEMPTS} times in a row: {self.device.failing['energy']}")


@dataclass
class CpuCounter:
    """The CPU packages' energy (Linux' powercap, Intel's RAPL and its AMD equivalent).

    A package's counter returns to zero at ``max_energy_range_uj``.
    """

    packages: list[Path]
    source: str = "rapl"
    _last: dict[Path, int] = field(default_factory=dict)
    _total: float = 0.0

    def joules(self) -> float:
        """Joules since the first reading.

        Raises:
            OSError: it cannot be read.
        """
        for package in self.packages:
            value = int((package / "energy_uj").read_text())
            increase = value - self._last.get(package, value)
            if increase < 0:
                increase += int((package / "max_energy_range_uj").read_text())
            self._last[package] = value
            self._total += increase * 1e-6
        return self._total


def counter_for(device: str, uuids: Mapping[str, str], rapl: Path = RAPL, nvml: Any = None) -> EnergyCounter | str:
    """The counter of a device, or why there is none.

    Args:
        uuids: CUDA device → its UUID.
    """
    source = device_of(device).energy_counter
    if source == GpuCounter.source:
        return _gpu_counter(uuids.get(device, ""), nvml)
    if source == CpuCounter.source:
        return _cpu_counter(rapl)
    return f"no energy counter of {device} can be read"


def _gpu_counter(uuid: str, nvml: Any) -> GpuCounter | str:
    (gpu,), why = devices([uuid], nvml)
    if gpu is None:
        return why or "its UUID is not known"
    if gpu.is_slice:
        return "a slice of a GPU (MIG) has no energy counter of its own"
    gpu.read(ENERGY)
    return gpu.lost or gpu.missing.get("energy") or GpuCounter(gpu)


def _cpu_counter(rapl: Path) -> CpuCounter | str:
    packages = sorted(path for path in rapl.glob("intel-rapl:*") if path.name.count(":") == 1)
    if not packages:
        return "this system has no energy counter of the CPU (RAPL)"
    counter = CpuCounter(packages)
    try:
        counter.joules()
    except PermissionError:
        return f"{packages[0] / 'energy_uj'} can be read by root only"
    except (OSError, ValueError) as error:
        return f"{packages[0]}: {error}"
    return counter


def energy_record(window: Window, source: str) -> EnergyRecord:
    """The energy per call in a window, or why it is not known."""
    if window.changes < MIN_CHANGES:
        times = "once" if window.changes == 1 else f"{window.changes} times"
        return EnergyRecord(
            why=f"not measurable: its counter changed {times} in {window.until:.0f} s, and {MIN_CHANGES} are needed"
        )
    return EnergyRecord(
        joules=window.joules / window.counted_calls, seconds=window.seconds, changes=window.changes, source=source
    )
