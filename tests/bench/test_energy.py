"""Joules per call: from counter change to counter change, or not at all."""

import os
from pathlib import Path

import pynvml
import pytest

from tests.bench.nvml_fake import Nvml, error
from torchduet.bench.passes.back_to_back import PATIENCE_SECONDS, back_to_back, sm_clock
from torchduet.bench.passes.energy import (
    MIN_CHANGES,
    WINDOW_SECONDS,
    EnergyCounter,
    counter_for,
    energy_record,
)
from torchduet.bench.plan.budget import ENERGY_SECONDS


class Machine:
    """A device of 300 W whose counter takes a new value every ``period`` seconds; a call takes 1 ms."""

    source = "fake"

    def __init__(self, period: float, watts: float = 300.0) -> None:
        self.time, self.period, self.watts = 3.3, period, watts

    def now(self) -> float:
        return self.time

    def joules(self) -> float:
        return self.watts * self.period * int(self.time / self.period)

    def some(self) -> int:
        self.time += 0.01
        return 10


@pytest.mark.parametrize("period", [0.02, 0.1, 0.4])
def test_joules_per_call_do_not_depend_on_the_counters_period(period: float) -> None:
    machine = Machine(period)
    record = energy_record(back_to_back(machine.some, machine.joules, WINDOW_SECONDS, now=machine.now), machine.source)
    assert record["joules"] == pytest.approx(300 * 1e-3, rel=0.01)
    assert record["seconds"] >= WINDOW_SECONDS - period
    assert record["changes"] >= MIN_CHANGES
    assert record["source"] == "fake"


@pytest.mark.parametrize("period", [0.7, 1e9])
def test_a_counter_that_hardly_changes_measures_nothing(period: float) -> None:
    machine = Machine(period)
    record = energy_record(back_to_back(machine.some, machine.joules, WINDOW_SECONDS, now=machine.now), machine.source)
    assert "not measurable" in record["why"]
    assert "joules" not in record


def test_calls_without_pause_say_their_time_the_power_and_the_clocks() -> None:
    machine = Machine(0.02)
    clocks = iter([1980.0, 1900.0, *[1755.0] * 1000])
    window = back_to_back(machine.some, machine.joules, 1.0, lambda: next(clocks), machine.now)
    assert window.record() == {
        "seconds": pytest.approx(1e-3),
        "window_seconds": pytest.approx(1.0, abs=0.03),
        "watts": pytest.approx(300.0, rel=0.05),
        "first_sm_mhz": 1980.0,
        "sm_mhz": 1755.0,
    }


def test_time_for_reading_counters_is_no_time_of_the_calls() -> None:
    machine = Machine(0.02)

    def slow_reading() -> float:
        machine.time += 0.004
        return machine.joules()

    record = back_to_back(machine.some, slow_reading, 1.0, now=machine.now).record()
    assert record["seconds"] == pytest.approx(1e-3)


@pytest.mark.parametrize("period", [0.9, 1e9])
def test_without_a_counter_that_changes_the_power_is_not_known(period: float) -> None:
    machine = Machine(period)
    for joules in (machine.joules, None):
        record = back_to_back(machine.some, joules, 1.0, now=machine.now).record()
        assert record["seconds"] == pytest.approx(1e-3)
        assert record.keys() == {"seconds", "window_seconds"}


def test_the_sm_clock_is_read_from_nvml() -> None:
    read = sm_clock("aaaa", Nvml())
    assert read is not None
    assert read() == 1755.0
    nvml = Nvml()
    lost = sm_clock("aaaa", nvml)
    assert lost is not None
    nvml.answers["nvmlDeviceGetClockInfo"] = error(pynvml.NVML_ERROR_GPU_IS_LOST)
    assert lost() is None
    assert sm_clock("cccc", Nvml()) is None
    assert sm_clock("aaaa", Nvml(nvmlDeviceGetClockInfo=error(pynvml.NVML_ERROR_NOT_SUPPORTED))) is None


def test_the_gpus_counter_is_in_joules_and_found_by_uuid() -> None:
    counter = counter_for("cuda", {"cuda": "aaaa"}, nvml=Nvml())
    assert isinstance(counter, EnergyCounter)
    assert (counter.joules(), counter.source) == (5000, "nvml")


@pytest.mark.parametrize(
    ("uuid", "nvml", "why"),
    [
        ("bbbb", Nvml(), "slice"),
        ("cccc", Nvml(), "does not know"),
        ("aaaa", Nvml(nvmlDeviceGetTotalEnergyConsumption=error(pynvml.NVML_ERROR_NOT_SUPPORTED)), "Not Supported"),
    ],
)
def test_a_gpu_without_a_counter_says_why(uuid: str, nvml: Nvml, why: str) -> None:
    counter = counter_for("cuda:1", {"cuda:1": uuid}, nvml=nvml)
    assert isinstance(counter, str)
    assert why in counter


def test_a_gpu_lost_on_the_way_ends_the_reading() -> None:
    nvml = Nvml()
    counter = counter_for("cuda", {"cuda": "aaaa"}, nvml=nvml)
    assert isinstance(counter, EnergyCounter)
    nvml.answers["nvmlDeviceGetTotalEnergyConsumption"] = error(pynvml.NVML_ERROR_GPU_IS_LOST)
    with pytest.raises(OSError, match="lost"):
        counter.joules()


def test_an_error_that_passes_costs_no_energy_and_one_that_stays_ends_it_in_its_own_words() -> None:
    nvml = Nvml()
    counter = counter_for("cuda", {"cuda": "aaaa"}, nvml=nvml)
    assert isinstance(counter, EnergyCounter)
    answers = iter([error(pynvml.NVML_ERROR_TIMEOUT), error(pynvml.NVML_ERROR_UNKNOWN)])

    def at_last(_: object) -> int:
        if (failure := next(answers, None)) is not None:
            raise failure
        return 7_000_000

    nvml.answers["nvmlDeviceGetTotalEnergyConsumption"] = at_last
    assert counter.joules() == 7000
    nvml.answers["nvmlDeviceGetTotalEnergyConsumption"] = error(pynvml.NVML_ERROR_TIMEOUT)
    with pytest.raises(OSError, match="5 times in a row: Timeout"):
        counter.joules()
    nvml.answers["nvmlDeviceGetTotalEnergyConsumption"] = error(pynvml.NVML_ERROR_NOT_SUPPORTED)
    with pytest.raises(OSError, match="Not Supported"):
        counter.joules()


def package(root: Path, number: int, microjoules: int, most: int = 1000) -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir()
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    (root / f"intel-rapl:{number}:0").mkdir()  # a part of the package, such as its cores
    return folder


def test_the_cpus_packages_are_added_up_and_begin_anew(tmp_path: Path) -> None:
    first, second = package(tmp_path, 0, 900), package(tmp_path, 1, 100)
    counter = counter_for("cpu", {}, tmp_path)
    assert isinstance(counter, EnergyCounter)
    (first / "energy_uj").write_text("50")
    (second / "energy_uj").write_text("160")
    assert counter.joules() == pytest.approx((1000 - 900 + 50 + 60) * 1e-6)


def test_a_cpu_without_a_counter_says_why(tmp_path: Path) -> None:
    assert "RAPL" in str(counter_for("cpu", {}, tmp_path))
    (package(tmp_path, 0, 1) / "energy_uj").chmod(0)
    if os.geteuid() != 0:
        assert "root alone" in str(counter_for("cpu", {}, tmp_path))


def test_the_budget_counts_on_what_an_energy_takes() -> None:
    assert ENERGY_SECONDS == WINDOW_SECONDS + PATIENCE_SECONDS / 2
