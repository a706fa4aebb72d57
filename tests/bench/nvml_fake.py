"""NVML as ``pynvml`` has it, for GPUs that are not there: the same names, units and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pynvml

WHOLE, SLICE = "GPU-aaaa", "MIG-bbbb"


class Nvml:
    """The module's functions; ``answers`` replaces what one of them gives, by a value, a function or an error."""

    NVMLError = pynvml.NVMLError
    NVMLError_GpuIsLost = pynvml.NVMLError_GpuIsLost
    NVMLError_NotSupported = pynvml.NVMLError_NotSupported
    NVMLError_NoPermission = pynvml.NVMLError_NoPermission
    NVMLError_FunctionNotFound = pynvml.NVMLError_FunctionNotFound
    NVMLError_InvalidArgument = pynvml.NVMLError_InvalidArgument
    NVMLError_Deprecated = pynvml.NVMLError_Deprecated
    NVMLError_ResetRequired = pynvml.NVMLError_ResetRequired
    NVMLError_DriverNotLoaded = pynvml.NVMLError_DriverNotLoaded
    NVML_SUCCESS = pynvml.NVML_SUCCESS
    NVML_ERROR_NOT_SUPPORTED = pynvml.NVML_ERROR_NOT_SUPPORTED
    NVML_FI_DEV_POWER_INSTANT = pynvml.NVML_FI_DEV_POWER_INSTANT
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_CLOCK_MEM = pynvml.NVML_CLOCK_MEM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, **answers: Any) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[str, Any] = {
            "nvmlInit": None,
            "nvmlDeviceGetHandleByUUID": self._handle,
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": WHOLE,
            "nvmlSystemGetDriverVersion": "580.65.06",
            "nvmlDeviceGetName": "NVIDIA H200",
            "nvmlDeviceGetUUID": WHOLE,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetPowerManagementDefaultLimit": 700_000,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetApplicationsClock": 1980,
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=2**37, used=2**30, free=2**36),
            "nvmlDeviceGetEccMode": [1, 1],
            "nvmlDeviceGetMigMode": [0, 0],
            "nvmlDeviceGetPersistenceMode": 1,
            "nvmlDeviceGetMaxPcieLinkGeneration": 5,
            "nvmlDeviceGetMaxPcieLinkWidth": 16,
            "nvmlDeviceGetCurrPcieLinkWidth": 16,
            "nvmlDeviceGetDefaultApplicationsClock": 1980,
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlDeviceGetFieldValues": field_values(nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED),
            "nvmlDeviceGetPowerUsage": 345_600,
            "nvmlDeviceGetClockInfo": 1755,
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=98, memory=40),
            "nvmlDeviceGetCurrentClocksEventReasons": 0,
            "nvmlDeviceGetTotalEnergyConsumption": 5_000_000,
        } | {**self.OTHERS, **answers}

    @staticmethod
    def _handle(uuid: str) -> str:
        if uuid not in (WHOLE, SLICE):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    # What else uses the GPU, and whether processes may.
    NVMLError_NotFound = pynvml.NVMLError_NotFound
    NVMLError_InsufficientSize = pynvml.NVMLError_InsufficientSize
    NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError
    OTHERS: Mapping[str, Any] = MappingProxyType(
        {
            "nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_DEFAULT,
            "nvmlDeviceGetComputeRunningProcesses": [],
            "nvmlDeviceGetMPSComputeRunningProcesses": [],
            "nvmlDeviceGetGraphicsRunningProcesses": [],
            "nvmlDeviceGetProcessUtilization": pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND),
            "nvmlSystemGetProcessName": pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND),
        }
    )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not hasattr(pynvml, name) or name not in self.answers:
            raise AttributeError(name)

        def function(*arguments: Any) -> Any:
            self.asked.append((name, arguments))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return function


def field_values(member: str = "uiVal", value: float = 0, **fields: int) -> Callable[[Any, list[int]], Any]:
    """What answers nvmlDeviceGetFieldValues, in the module's own structures.

    Args:
        member: of the union ``c_nvmlValue_t`` that holds the value.
        fields: of ``c_nvmlFieldValue_t``, as ``nvmlReturn`` and ``valueType``.
    """

    def answer(_: Any, ids: list[int]) -> Any:
        values = (pynvml.c_nvmlFieldValue_t * len(ids))()
        for place, number in enumerate(ids):
            values[place].fieldId = number
            for name, given in fields.items():
                setattr(values[place], name, given)
            setattr(values[place].value, member, value)
        return values

    return answer


def error(number: int) -> pynvml.NVMLError:
    """One of NVML's own errors, by its number."""
    return pynvml.NVMLError(number)
