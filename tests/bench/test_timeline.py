"""The GPUs' timeline: samples in step with their times, bounded, and the counters' periods as measured."""

from itertools import pairwise
from time import monotonic, sleep
from types import SimpleNamespace

import pynvml
import pytest

from tests.bench.nvml_fake import Nvml, error
from torchduet.bench.host import gpu_timeline as timelines
from torchduet.bench.host.gpu_timeline import CHANGES, POLLING_SECONDS, Periods, Timeline
from torchduet.bench.host.nvml import Device, devices
from torchduet.bench.record.gpu_samples import MAX_SAMPLES


def gpu(nvml: Nvml) -> Device:
    (found,), _ = devices(["aaaa"], nvml)
    assert found is not None
    return found


def test_samples_go_with_their_times() -> None:
    line = Timeline({"cuda:0": gpu(Nvml())})
    for at in (0.0, 0.1, 0.2):
        line.sample(at)
    (record,) = line.records()
    assert record["device"] == "cuda:0"
    assert record["at"] == [0.0, 0.1, 0.2]
    assert record["samples"]["power_w"] == [345.6] * 3
    assert record["facts"]["driver"] == "580.65.06"
    assert not record["slice"]
    assert "lost" not in record


def test_what_is_not_known_is_missing_with_its_reason() -> None:
    nvml = Nvml(nvmlDeviceGetPowerUsage=error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    line = Timeline({"cuda:0": gpu(nvml), "cuda:1": None}, "NVML cannot be used: Driver Not Loaded")
    line.sample(0.0)
    nvml.answers["nvmlDeviceGetClockInfo"] = error(pynvml.NVML_ERROR_GPU_IS_LOST)
    line.sample(0.1)
    first, second = line.records()
    assert first["missing"]["power_w"] == "Not Supported"
    assert "power_w" not in first["samples"]
    assert first["samples"]["temperature_c"] == [61, None]
    assert "lost" in first["lost"]
    assert second["lost"] == "NVML cannot be used: Driver Not Loaded"
    assert second["samples"] == {}


def test_what_another_process_goes_on_with_is_one_timeline() -> None:
    before = Timeline({"cuda:0": gpu(Nvml())})
    told = []
    for at in (0.0, 0.1, 0.2, 0.3):
        before.sample(at)
        if at in (0.1, 0.3):
            told.append(before.news())
    assert [news["at"] for news in told] == [[0.0, 0.1], [0.2, 0.3]]
    assert before.news() == {}
    after = Timeline({"cuda:0": gpu(Nvml())})
    after.restore(0.35, told)
    after.sample(0.4)
    (record,) = after.records()
    assert record["at"] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert record["samples"]["power_w"] == [345.6] * 5
    assert after.news()["at"] == [0.4]


def test_a_long_run_keeps_a_bounded_number_of_samples() -> None:
    line = Timeline({"cuda:0": gpu(Nvml())})
    for number in range(3 * MAX_SAMPLES):
        line.sample(0.1 * number)
    (record,) = line.records()
    assert len(record["at"]) == len(record["samples"]["power_w"]) < MAX_SAMPLES
    assert all(later > one for one, later in pairwise(record["at"]))
    assert record["at"][-1] > 0.9 * 0.1 * 3 * MAX_SAMPLES - 4 * 0.1 * 8


@pytest.mark.parametrize("period", [0.02, 0.1])
def test_the_period_of_a_counter_is_the_time_between_its_values(period: float) -> None:
    periods = Periods()
    for tick in range(5000):
        at = 0.002 * tick
        periods.add(at, {"power": int(at / period), "energy": 7.0})
    assert periods.seconds() == {"power": pytest.approx(period, abs=0.0021)}
    assert not periods.known({})
    assert periods.known({"energy": "Not Supported"})


class Clock:
    """A clock that a wait moves, and a GPU whose counters change every 0.1 s while it is in use."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.nvml = Nvml(
            nvmlDeviceGetUtilizationRates=lambda _: SimpleNamespace(gpu=self.used, memory=0),
            nvmlDeviceGetTotalEnergyConsumption=lambda _: 5 * int(10 * self.time) if self.used else 7,
            nvmlDeviceGetPowerUsage=lambda _: 300_000 + int(10 * self.time) if self.used else 60_000,
        )
        self.used: float = 0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def go(self, line: Timeline, seconds: float) -> int:
        """What the thread does in this time, and how often it polled."""
        end, polls = self.time + seconds, 0
        while self.time < end:
            line.sample(self.time)
            until = self.time + timelines.INTERVAL
            while self.time < until and line.poll(self.wait):
                polls += 1
            self.time = max(self.time, until)
        return polls


def test_polling_waits_for_the_gpu_to_be_used_and_only_polling_counts_as_polling() -> None:
    clock = Clock()
    line = Timeline({"cuda:0": gpu(clock.nvml)}, now=clock.now)
    assert clock.go(line, 3 * POLLING_SECONDS) == 0  # collection, imports, a family on the CPU
    assert line.records()[0]["update_seconds"] == {}
    clock.used = 80
    assert clock.go(line, 1.0) > 0
    clock.used = 0
    assert clock.go(line, 30.0) == 0  # between two families
    clock.used = 80
    clock.go(line, 3.0)
    assert line.records()[0]["update_seconds"] == {
        "power": pytest.approx(0.1, abs=0.004),
        "energy": pytest.approx(0.1, abs=0.004),
    }
    assert clock.go(line, 5.0) == 0  # they are known


def test_counters_that_never_change_are_polled_for_a_bounded_time() -> None:
    clock = Clock()
    clock.used = 1
    clock.nvml.answers["nvmlDeviceGetTotalEnergyConsumption"] = 7
    line = Timeline({"cuda:0": gpu(clock.nvml)}, now=clock.now)
    polls = clock.go(line, 3 * POLLING_SECONDS)
    assert polls * timelines.POLL_SECONDS == pytest.approx(POLLING_SECONDS, rel=0.01)
    assert line.records()[0]["update_seconds"].keys() == {"power"}


def test_a_slice_without_utilisation_is_in_use_unless_nothing_runs_on_its_gpu() -> None:
    clock = Clock()
    clock.used = 1
    clock.nvml.answers["nvmlDeviceGetUtilizationRates"] = error(pynvml.NVML_ERROR_NOT_SUPPORTED)
    clock.nvml.answers["nvmlDeviceGetCurrentClocksEventReasons"] = timelines.IDLE
    line = Timeline({"cuda:0": gpu(clock.nvml)}, now=clock.now)
    assert clock.go(line, 1.0) == 0
    clock.nvml.answers["nvmlDeviceGetCurrentClocksEventReasons"] = 0
    assert clock.go(line, 1.0) > 0


def test_a_resumed_run_measures_the_periods_that_are_not_known_yet() -> None:
    clock = Clock()
    before = Timeline({"cuda:0": gpu(clock.nvml)}, now=clock.now)
    before.sample(0.0)
    unknown = before.news()
    after = Timeline({"cuda:0": gpu(clock.nvml)}, now=clock.now)
    clock.time += 100 * POLLING_SECONDS  # the run was at this point long ago
    after.restore(50.0, [unknown])
    clock.used = 80
    clock.go(after, 5.0)
    periods = after.records()[0]["update_seconds"]
    assert periods.keys() == {"power", "energy"}
    third = Timeline({"cuda:0": gpu(clock.nvml)}, now=clock.now)
    third.restore(60.0, [unknown, after.news()])
    assert clock.go(third, 5.0) == 0  # they are in the journal
    assert third.records()[0]["update_seconds"] == periods


def test_the_thread_samples_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = iter(range(10**9))
    nvml = Nvml(
        nvmlDeviceGetTotalEnergyConsumption=lambda _: next(counted), nvmlDeviceGetPowerUsage=lambda _: next(counted)
    )
    monkeypatch.setattr(timelines, "INTERVAL", 0.01)
    line = Timeline({"cuda:0": gpu(nvml)})
    line.start()
    until = monotonic() + 20
    while (len(line.records()[0]["at"]) < 3 or not line.records()[0]["update_seconds"]) and monotonic() < until:
        sleep(0.01)
    line.stop()
    (record,) = line.records()
    assert len(record["at"]) >= 3
    assert record["update_seconds"].keys() == {"power", "energy"}
    sleep(0.05)
    assert line.records()[0]["at"] == record["at"]
    assert next(counted) > CHANGES


def test_in_a_process_that_times_calls_itself_no_counter_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[float] = []
    monkeypatch.setattr(Timeline, "poll", lambda *_: polls.append(0.0))
    monkeypatch.setattr(timelines, "INTERVAL", 0.01)
    line = Timeline({"cuda:0": gpu(Nvml())})
    line.start(polls=False)
    until = monotonic() + 20
    while len(line.records()[0]["at"]) < 3 and monotonic() < until:
        sleep(0.01)
    line.stop()
    assert len(line.records()[0]["at"]) >= 3
    assert polls == []


def test_without_a_gpu_there_is_no_thread() -> None:
    line = Timeline({})
    line.start()
    line.stop()
    assert line.records() == []
