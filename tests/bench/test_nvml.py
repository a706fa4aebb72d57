"""NVML's view of a GPU: found by UUID, with what it cannot tell marked as missing and why."""

import pynvml
import pytest

from tests.bench.nvml_fake import SLICE, WHOLE, Nvml, error, field_values
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


def power(**answers: object) -> tuple[Device, float]:
    """A GPU whose driver answers so; and its power in W."""
    gpu = device(Nvml(**answers))
    return gpu, float(gpu.read({"power_w": READINGS["power_w"]})["power_w"])


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ("uiVal", pynvml.NVML_VALUE_TYPE_UNSIGNED_INT),
        ("dVal", pynvml.NVML_VALUE_TYPE_DOUBLE),
        ("ulVal", pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG),
        ("ullVal", pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG),
        ("sllVal", pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG),
        ("siVal", pynvml.NVML_VALUE_TYPE_SIGNED_INT),
    ],
)
def test_power_is_that_of_the_moment_whatever_type_the_driver_gives_it_in(member: str, kind: int) -> None:
    gpu, watts = power(nvmlDeviceGetFieldValues=field_values(member, 512_300, valueType=kind))
    assert watts == pytest.approx(512.3)
    assert gpu.read(FACTS)["power_reading"] == "instantaneous"


@pytest.mark.parametrize(
    "answers",
    [
        {"nvmlDeviceGetFieldValues": field_values(nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED, value=9)},
        {"nvmlDeviceGetFieldValues": error(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)},  # an old driver
        {"nvmlDeviceGetFieldValues": field_values(value=9, valueType=99)},  # a type that we cannot read
    ],
)
@pytest.mark.parametrize(
    ("capability", "kind"),
    [
        ((9, 0), "average over 1 s"),
        ((8, 6), "average over 1 s"),
        ((8, 0), "instantaneous"),  # GA100
        ((7, 5), "instantaneous"),
        (error(pynvml.NVML_ERROR_UNKNOWN), "as the driver gives it"),
    ],
)
def test_without_it_the_power_is_what_the_driver_gives_and_the_fact_says_which(
    answers: dict[str, object], capability: object, kind: str
) -> None:
    gpu, watts = power(**answers, nvmlDeviceGetCudaComputeCapability=capability)
    assert watts == pytest.approx(345.6)
    assert gpu.read(FACTS)["power_reading"] == kind
    assert gpu.missing == {}


def test_an_error_that_passes_does_not_turn_one_kind_of_power_into_the_other() -> None:
    nvml = Nvml(nvmlDeviceGetFieldValues=field_values(nvmlReturn=pynvml.NVML_ERROR_TIMEOUT))
    gpu = device(nvml)
    assert "power_w" not in gpu.read(READINGS)
    assert gpu.failing == {"power_w": "Timeout"}
    nvml.answers["nvmlDeviceGetFieldValues"] = field_values(value=400_000, valueType=1)
    assert gpu.read(READINGS)["power_w"] == 400
    assert gpu.failing == {}


def test_a_slices_power_is_that_of_the_full_gpu() -> None:
    whole = field_values(value=600_000, valueType=1)
    none = field_values(nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED)
    part = device(
        Nvml(
            nvmlDeviceGetFieldValues=lambda handle, ids: (whole if handle == WHOLE else none)(handle, ids),
            nvmlDeviceGetPowerUsage=error(pynvml.NVML_ERROR_NOT_SUPPORTED),
        ),
        "bbbb",
    )
    assert part.read(READINGS)["power_w"] == 600
    assert part.read(FACTS)["power_reading"] == "instantaneous"


def test_an_older_drivers_reasons_are_read_under_their_former_name() -> None:
    old = Nvml(
        nvmlDeviceGetCurrentClocksEventReasons=error(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
        nvmlDeviceGetCurrentClocksThrottleReasons=4,
    )
    assert device(old).read(READINGS)["reasons"] == 4
    del old.answers["nvmlDeviceGetCurrentClocksEventReasons"]  # an nvidia-ml-py from before that name
    assert device(old).read(READINGS)["reasons"] == 4


@pytest.mark.parametrize("number", [pynvml.NVML_ERROR_DEPRECATED, pynvml.NVML_ERROR_NOT_SUPPORTED])
def test_what_the_driver_has_given_up_is_missing_and_not_asked_for_again(number: int) -> None:
    gpu = device(Nvml(nvmlDeviceGetApplicationsClock=error(number)))
    assert "set_sm_mhz" not in gpu.read(FACTS)
    assert gpu.missing == {"set_sm_mhz": str(error(number))}


def test_an_older_module_without_a_class_or_a_function_of_nvml_works() -> None:
    class Old(Nvml):
        NVMLError_Deprecated = None  # type: ignore[assignment]
        NVML_FI_DEV_POWER_INSTANT = None  # type: ignore[assignment]

    old = Old(nvmlDeviceGetTemperature=error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    del old.answers["nvmlDeviceGetMigMode"]
    gpu = device(old)
    assert gpu.read(READINGS)["power_w"] == pytest.approx(345.6)
    assert gpu.missing == {"temperature_c": "Not Supported"}
    gpu.read(FACTS)
    assert "this nvidia-ml-py has no nvmlDeviceGetMigMode" in gpu.missing["mig"]


@pytest.mark.parametrize("number", [pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_a_gpu_that_needs_a_reset_or_lost_its_driver_ends_its_readings(number: int) -> None:
    nvml = Nvml(nvmlDeviceGetFieldValues=error(number))
    gpu = device(nvml)
    assert gpu.read(READINGS) == {}
    assert gpu.lost == f"NVML cannot read this GPU any more: {error(number)}"
