"""NVML for a GPU that is a file: several processes see the same clocks, as with a driver.

``FAKE_NVML`` names the file, JSON: UUID → [lowest, highest] MHz or null. ``FAKE_NVML_DENIES`` denies to set clocks, of
the GPUs whose UUIDs it has.
"""

import json
import os
from pathlib import Path

NVML_CLOCK_LIMIT_ID_TDP = 0xFFFFFF01


class NVMLError(Exception):
    pass


class NVMLError_NoPermission(NVMLError):
    pass


class NVMLError_NotFound(NVMLError):
    pass


def _file() -> Path:
    return Path(os.environ["FAKE_NVML"])


def _set(handle: str, clocks: list[int] | None) -> None:
    if handle in os.environ.get("FAKE_NVML_DENIES", ""):
        raise NVMLError_NoPermission("Insufficient Permissions")
    changed = json.dumps(json.loads(_file().read_text()) | {handle: clocks})
    new = _file().with_suffix(f".{os.getpid()}")
    new.write_text(changed)
    new.replace(_file())


def nvmlInit() -> None:
    _file().read_text()


def nvmlDeviceGetHandleByUUID(uuid: str) -> str:
    if uuid not in json.loads(_file().read_text()):
        raise NVMLError_NotFound("Not Found")
    return uuid


def nvmlDeviceGetMigMode(_: str) -> list[int]:
    return [0, 0]


def nvmlDeviceGetUUID(handle: str) -> str:
    return handle


def nvmlDeviceGetSupportedMemoryClocks(_: str) -> list[int]:
    return [2619]


def nvmlDeviceGetSupportedGraphicsClocks(_: str, memory: int) -> list[int]:
    assert memory == 2619
    return list(range(1980, 200, -15))


def nvmlDeviceSetGpuLockedClocks(handle: str, lowest: int, highest: int) -> None:
    _set(handle, [lowest, highest])


def nvmlDeviceResetGpuLockedClocks(handle: str) -> None:
    _set(handle, None)
