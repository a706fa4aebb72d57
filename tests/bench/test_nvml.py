"""NVML's view of a GPU: found by UUID, with what it cannot tell marked as missing and why."""

import pynvml
import pytest

from tests.bench.nvml_fake import SLICE, WHOLE, Nvml, error
from torchduet.bench.host.nvml import COUNTERS, FACTS, READINGS, Device, devices


def device(nvml: Nvml, uuid: str = "aaaa") -> Device:
    (found,), why = devices([uuid], nvml)
    assert found is not None, why
    return found


def test_facts_and_readings_come_in_si_units() -> None:
    gpu = device(Nvml())
    facts = gpu.read(FACTS)
    assert facts["name"] == "NVIDIA H200"
    assert facts["power_limit_w"] == 700
    assert (facts["ecc"], facts["mig"], facts["persistence"]) == ("on", "off", "on")
    assert facts.keys() == FACTS.keys()
    readings = gpu.read(READINGS)
    assert readings["power_w"] == pytest.approx(345.6)
    assert (readings["sm_mhz"], readings["temperature_c"], readings["utilisation"]) == (1755, 61, 98)
    assert gpu.read(COUNTERS)["energy"] == 5000
    assert not gpu.missing


def test_everything_that_is_asked_for_is_in_the_real_module() -> None:
    nvml = Nvml()
    gpu = device(nvml)
    for fields in (FACTS, READINGS, COUNTERS):
        gpu.read(fields)
    assert all(callable(getattr(pynvml, name)) for name, _ in nvml.asked)


def test_a_gpu_is_found_by_its_uuid_and_a_slice_reads_from_its_whole() -> None:
    not_on_a_slice = Nvml()
    not_on_a_slice.answers["nvmlDeviceGetPowerUsage"] = lambda handle: (
        300_000 if handle == WHOLE else (_ for _ in ()).throw(error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    )
    part = device(not_on_a_slice, "bbbb")
    assert part.handle == SLICE
    assert part.is_slice
    assert part.read(READINGS)["power_w"] == 300
    assert not device(Nvml()).is_slice
    assert devices(["GPU-aaaa"], Nvml())[0][0] is not None  # with its prefix


@pytest.mark.parametrize(
    ("uuids", "nvml", "why"),
    [
        (["cccc"], Nvml(), "does not know the GPU cccc"),
        ([""], Nvml(), "no UUID"),
        (["aaaa"], Nvml(nvmlInit=error(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)), "Driver Not Loaded"),
        (["aaaa"], Nvml(nvmlInit=error(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)), "NVML Shared Library Not Found"),
        (["aaaa"], Nvml(nvmlInit=error(pynvml.NVML_ERROR_NO_PERMISSION)), "Insufficient Permissions"),
        ([], Nvml(), ""),
    ],
)
def test_where_there_is_nothing_to_read_the_reason_is_known(uuids: list[str], nvml: Nvml, why: str) -> None:
    found, said = devices(uuids, nvml)
    assert found == [None] * len(uuids)
    assert why in said


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert devices(["aaaa"]) == ([None], "nvidia-ml-py is not installed: pip install nvidia-ml-py")


def test_a_field_that_this_gpu_lacks_is_missing_and_not_asked_for_again() -> None:
    nvml = Nvml(nvmlDeviceGetTemperature=error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    gpu = device(nvml)
    assert "temperature_c" not in gpu.read(READINGS)
    assert gpu.missing == {"temperature_c": "Not Supported"}
    nvml.asked.clear()
    assert "power_w" in gpu.read(READINGS)
    assert "nvmlDeviceGetTemperature" not in dict(nvml.asked)


def test_what_fails_once_is_asked_for_again() -> None:
    nvml = Nvml()
    gpu = device(nvml)
    nvml.answers["nvmlDeviceGetPowerUsage"] = error(pynvml.NVML_ERROR_TIMEOUT)
    assert "power_w" not in gpu.read(READINGS)
    nvml.answers["nvmlDeviceGetPowerUsage"] = 100_000
    assert gpu.read(READINGS)["power_w"] == 100
    assert gpu.missing == {}


def test_a_gpu_that_falls_off_the_bus_ends_its_readings() -> None:
    nvml = Nvml()
    gpu = device(nvml)
    nvml.answers["nvmlDeviceGetPowerUsage"] = error(pynvml.NVML_ERROR_GPU_IS_LOST)
    assert gpu.read(READINGS) == {}
    assert gpu.lost == "the GPU was lost: GPU is lost"
    assert gpu.missing == {}
    nvml.asked.clear()
    assert gpu.read(READINGS) == {}
    assert nvml.asked == []
