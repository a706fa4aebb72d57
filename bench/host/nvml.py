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
# NVML's errors, by the names of their classes; a version of nvidia-ml-py may lack some. Any other, such as a time-out,
# "not ready" or "no data", is temporary.
FOR_GOOD = (  # this field cannot be read on this GPU, by this user, or with this driver
    "NotSupported",
    "NoPermission",
    "FunctionNotFound",
    "InvalidArgument",
    "Deprecated",
    "ArgumentVersionMismatch",
    "NotFound",
    "OperatingSystem",
    "CorruptedInforom",
)
ENDS_ALL = ("ResetRequired", "DriverNotLoaded", "Uninitialized", "LibRmVersionMismatch")  # of every field
ON_OFF = ("off", "on")
OF_FULL_GPU = ("power_w", "power", "power_reading")  # fields that a slice (MIG) never has of its own
INSTANT, AVERAGE, UNKNOWN = "instantaneous", "average over 1 s", "as the driver gives it"  # kinds of power reading
GA100 = (8, 0)  # compute capability: up to this one nvmlDeviceGetPowerUsage is instantaneous
# The member of the union c_nvmlValue_t that each value of nvmlValueType_t stands for (nvml.h).
VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
COMPUTE_MODES = ("DEFAULT", "EXCLUSIVE_THREAD", "PROHIBITED", "EXCLUSIVE_PROCESS")  # as nvidia-smi -c names them

Field = Callable[[Any, Any], float | int | str]


def failed(nvml: Any, error: Exception, kinds: Sequence[str]) -> bool:
    """Whether an error is of one of these kinds of NVML's, such as ``NotSupported``."""
    return isinstance(error, tuple(kind for name in kinds if (kind := getattr(nvml, f"NVMLError_{name}", None))))


def _field_value(nvml: Any, gpu: Any, field: int) -> float:
    """A value by nvmlDeviceGetFieldValues, which has an error code and a type of its own for each field."""
    (value,) = nvml.nvmlDeviceGetFieldValues(gpu, [field])
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(value.nvmlReturn)
    if not 0 <= value.valueType < len(VALUE_MEMBERS):
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
    return float(getattr(value.value, VALUE_MEMBERS[value.valueType]))


def _instant_power(nvml: Any, gpu: Any) -> float | None:
    """Watts at this moment; None where this GPU, its driver or nvidia-ml-py has no such field."""
    field = getattr(nvml, "NVML_FI_DEV_POWER_INSTANT", None)
    if field is None or not hasattr(nvml, "nvmlDeviceGetFieldValues"):
        return None
    try:
        return _field_value(nvml, gpu, field) / 1000
    except nvml.NVMLError as error:
        if failed(nvml, error, FOR_GOOD):
            return None
        raise  # one series of readings never mixes the two kinds


def _power(nvml: Any, gpu: Any) -> float:
    """Watts: at this moment where the driver gives that, else what it gives."""
    instant = _instant_power(nvml, gpu)
    return float(nvml.nvmlDeviceGetPowerUsage(gpu)) / 1000 if instant is None else instant


def _power_kind(nvml: Any, gpu: Any) -> str:
    """Which power :func:`_power` gives.

    nvmlDeviceGetPowerUsage averages over 1 s "on Ampere (except GA100) or newer GPUs" (NVML API reference).
    """
    if _instant_power(nvml, gpu) is not None:
        return INSTANT
    try:
        capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(gpu))
    except (nvml.NVMLError, AttributeError):
        return UNKNOWN
    return INSTANT if capability <= GA100 else AVERAGE


def _reasons(nvml: Any, gpu: Any) -> int:
    """The reasons for lowered clocks. Drivers before 535 have them under another name."""
    reasons = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    if reasons is not None:
        try:
            return int(reasons(gpu))
        except nvml.NVMLError_FunctionNotFound:
            pass
    return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu))


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
    "default_sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetDefaultApplicationsClock(gpu, nvml.NVML_CLOCK_SM),
    "power_reading": _power_kind,
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
    "power_w": _power,
    "sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "utilisation": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_used_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "reasons": _reasons,
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
        failing: field → the error of its last reading, which may pass.
        lost: why nothing can be read any more, "" while it can.
    """

    nvml: Any
    handle: Any
    full_gpu: Any
    missing: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
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
            self.failing.pop(name, None)
            try:
                values[name] = self._first(name, get)
            except self.nvml.NVMLError as error:
                self._note(name, error)
            except AttributeError as error:
                if error.obj is not self.nvml:
                    raise
                self.missing[name] = f"this nvidia-ml-py has no {error.name}: pip install -U nvidia-ml-py"
        return values

    def _note(self, name: str, error: Exception) -> None:
        """Keep the reason why a field could not be read."""
        if failed(self.nvml, error, ("GpuIsLost",)):
            self.lost = f"the GPU was lost: {error}"
        elif failed(self.nvml, error, ENDS_ALL):
            self.lost = f"NVML cannot read this GPU any more: {error}"
        elif failed(self.nvml, error, FOR_GOOD):
            self.missing[name] = str(error)
        else:
            self.failing[name] = str(error)

    def _first(self, name: str, get: Field) -> float | int | str:
        """The slice's own reading where it has one, else the full GPU's."""
        try:
            if name not in OF_FULL_GPU:
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
