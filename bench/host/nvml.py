"""What NVML says of a GPU: what it is, and what it does just now (NVIDIA Management Library, API reference).

Read from the pytest process, which never initialises CUDA. A field that this GPU, its driver or this user
does not get is missing, and the reason is kept; a GPU that falls off the bus ends its readings, not the run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PREFIXES = ("GPU-", "MIG-")  # NVML's names are CUDA's UUIDs with one of these before them
FOR_GOOD = ("NotSupported", "NoPermission", "FunctionNotFound", "InvalidArgument")  # others, such as a time-out, pass
ON_OFF = ("off", "on")

Field = Callable[[Any, Any], float | int | str]

# name → (of NVML's module, of the handle). Units are in the names: W, MHz, °C, bytes, percent, joules.
FACTS: Mapping[str, Field] = {
    "name": lambda nvml, gpu: nvml.nvmlDeviceGetName(gpu),
    "uuid": lambda nvml, gpu: nvml.nvmlDeviceGetUUID(gpu),
    "driver": lambda nvml, _: nvml.nvmlSystemGetDriverVersion(),
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    "default_power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000,
    "most_sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "most_memory_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "set_sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetApplicationsClock(gpu, nvml.NVML_CLOCK_SM),
    "memory_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    "ecc": lambda nvml, gpu: ON_OFF[nvml.nvmlDeviceGetEccMode(gpu)[0]],
    "mig": lambda nvml, gpu: ON_OFF[nvml.nvmlDeviceGetMigMode(gpu)[0]],
    "persistence": lambda nvml, gpu: ON_OFF[nvml.nvmlDeviceGetPersistenceMode(gpu)],
    "pcie_generation": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu),
    "pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkWidth(gpu),
    "pcie_width_now": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
}
READINGS: Mapping[str, Field] = {
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "utilisation": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_used_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "reasons": lambda nvml, gpu: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu),
}
COUNTERS: Mapping[str, Field] = {
    "power": READINGS["power_w"],
    "energy": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000,
}


@dataclass
class Device:
    """One GPU as NVML knows it.

    Attributes:
        handle: NVML's.
        whole: the handle of the GPU that a MIG slice is part of; else the same.
        missing: field → why it cannot be read.
        lost: why nothing can be read any more, "" while it can.
    """

    nvml: Any
    handle: Any
    whole: Any
    missing: dict[str, str] = field(default_factory=dict)
    lost: str = ""

    @property
    def is_slice(self) -> bool:
        """Whether this is a part of a GPU (MIG): clocks and power are then those of the whole."""
        return self.whole is not self.handle

    def read(self, fields: Mapping[str, Field]) -> dict[str, float | int | str]:
        """Those of the fields that can be read; why the others cannot is in ``missing`` from then on."""
        found: dict[str, float | int | str] = {}
        for name, get in fields.items():
            if name in self.missing or self.lost:
                continue
            try:
                found[name] = self._first(get)
            except self.nvml.NVMLError as error:
                if isinstance(error, self.nvml.NVMLError_GpuIsLost):
                    self.lost = f"the GPU was lost: {error}"
                elif isinstance(error, tuple(getattr(self.nvml, f"NVMLError_{kind}") for kind in FOR_GOOD)):
                    self.missing[name] = str(error)
        return found

    def _first(self, get: Field) -> float | int | str:
        """The slice's own reading where it has one, else the whole GPU's."""
        try:
            return get(self.nvml, self.handle)
        except self.nvml.NVMLError:
            if not self.is_slice:
                raise
        return get(self.nvml, self.whole)


def devices(uuids: Sequence[str], nvml: Any = None) -> tuple[list[Device | None], str]:
    """The GPUs with these UUIDs (as CUDA names them, without a prefix), in order, and why one is None.

    By UUID, as CUDA and NVML number GPUs each in their own way: ``CUDA_VISIBLE_DEVICES`` is for CUDA alone.

    Args:
        nvml: the module ``pynvml``, or what has its interface.
    """
    if not any(uuids):
        return [None for _ in uuids], "CUDA gives no UUID" if uuids else ""
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ModuleNotFoundError:
            return [None for _ in uuids], "nvidia-ml-py is not installed: pip install nvidia-ml-py"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return [None for _ in uuids], f"NVML cannot be used: {error}"
    found: list[Device | None] = []
    why = ""
    for uuid in uuids:
        try:
            found.append(_device(nvml, uuid))
        except nvml.NVMLError as error:
            found.append(None)
            why = f"NVML does not know the GPU {uuid}: {error}"
    return found, why


def _device(nvml: Any, uuid: str) -> Device:
    names = [uuid] if uuid.startswith(PREFIXES) else [prefix + uuid for prefix in PREFIXES]
    for name in names[:-1]:
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(name)
            return Device(nvml, handle, handle)
        except nvml.NVMLError:
            continue
    handle = nvml.nvmlDeviceGetHandleByUUID(names[-1])
    if names[-1].startswith("MIG-"):
        return Device(nvml, handle, nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle))
    return Device(nvml, handle, handle)
