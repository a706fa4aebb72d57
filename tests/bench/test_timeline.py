"""The GPUs' timeline: samples in step with their times, bounded, and the counters' periods as measured."""

from itertools import pairwise
from time import monotonic, sleep

import pynvml
import pytest

from tests.bench.nvml_fake import Nvml, error
from torchduet.bench.host import gpu_timeline as timelines
from torchduet.bench.host.gpu_timeline import CHANGES, Periods, Timeline
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


def test_without_a_gpu_there_is_no_thread() -> None:
    line = Timeline({})
    line.start()
    line.stop()
    assert line.records() == []
