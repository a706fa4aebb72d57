"""A GPU's facts and readings from NVML (NVIDIA Management Library, API reference).

They are read from the pytest process, which never initialises CUDA. A field that this GPU, its driver or this user
cannot read is left out, and the reason is kept. A GPU that falls off the bus ends its readings, not the run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PREFIXES = ("GPU-", "MIG-")  # NVML's names are CUDA's UUIDs with one of these prefixes
FOR_GOOD = (
    "NotSupported",
    "NoPermission",
    "FunctionNotFound",
    "InvalidArgument",
)  # other errors, such as a time-out, are temporary
ON_OFF = ("off", "on")
COMPUTE_MODES = ("DEFAULT", "EXCLUSIVE_THREAD", "PROHIBITED", "EXCLUSIVE_PROCESS")  # as nvidia-smi -c names them

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
    "compute_mode": lambda nvml, gpu: COMPUTE_MODES[nvml.nvmlDeviceGetComputeMode(gpu)],
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
    """One GPU as NVML sees it.

    Attributes:
        handle: NVML's.
        full_gpu: the handle of the GPU that a MIG slice is part of; else the same.
        missing: field → why it cannot be read.
        lost: why nothing can be read any more, "" while it can.
    """

    nvml: Any
    handle: Any
    full_gpu: Any
    missing: dict[str, str] = field(default_factory=dict)
    lost: str = ""

    @property
    def is_slice(self) -> bool:
        """Whether this is a part of a GPU (MIG): clocks and power are then those of the full GPU."""
        return self.full_gpu is not self.handle

    def read(self, fields: Mapping[str, Field]) -> dict[str, float | int | str]:
        """The values of the readable fields; ``missing`` gets the reason for each of the others."""
        values: dict[str, float | int | str] = {}
        for name, get in fields.items():
            if name in self.missing or self.lost:
                continue
            try:
                values[name] = self._first(get)
            except self.nvml.NVMLError as error:
                if isinstance(error, self.nvml.NVMLError_GpuIsLost):
                    self.lost = f"the GPU was lost: {error}"
                elif isinstance(error, tuple(getattr(self.nvml, f"NVMLError_{kind}") for kind in FOR_GOOD)):
                    self.missing[name] = str(error)
        return values

    def _first(self, get: Field) -> float | int | str:
        """The slice's own reading where it has one, else the full GPU's."""
        try:
            return get(self.nvml, self.handle)
        except self.nvml.NVMLError:
            if not self.is_slice:
                raise
        return get(self.nvml, self.full_gpu)


def devices(uuids: Sequence[str], nvml: Any = None) -> tuple[list[Device | None], str]:
    """The GPUs with these UUIDs (as CUDA names them, without a prefix), in order, and why one is None.

    GPUs are found by UUID, as CUDA and NVML number them differently: ``CUDA_VISIBLE_DEVICES`` is for CUDA alone.

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
    handles: list[Device | None] = []
    why = ""
    for uuid in uuids:
        try:
            handles.append(_device(nvml, uuid))
        except nvml.NVMLError as error:
            handles.append(None)
            why = f"NVML does not know the GPU {uuid}: {error}"
    return handles, why


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
