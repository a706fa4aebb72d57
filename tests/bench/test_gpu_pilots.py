"""A GPU's pilots and what others do with it: how they are timed, and what they say of cases on it and on the CPU."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch

from tests.bench.nvml_fake import Nvml
from tests.bench.test_cuda_branches import OnTheCpu
from tests.bench.test_watch import CASE, IDLE, OTHER, Clock, Pilots, graded, result
from torchduet.bench.cases.exchange import FamilyResult, PilotTask
from torchduet.bench.host.gpus.sampling import OtherProcesses
from torchduet.bench.host.nvml import devices
from torchduet.bench.noise.causes import KINDS, causes
from torchduet.bench.noise.drift import pilots_change
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.monitor import PILOT_INTERVAL, Monitor
from torchduet.bench.passes import gpu_pilots, pilots
from torchduet.bench.record.devices import concerns, device_of_pilot
from torchduet.bench.record.schema import PilotRecord
from torchduet.bench.record.schema_check import check
from torchduet.bench.record.telemetry import Telemetry, Timed
from torchduet.bench.timing.clock import CpuClock
from torchduet.bench.timing.device_cuda import CudaDevice
from torchduet.bench.workers.launcher import WorkerError

ON_GPU = replace(CASE, workload="g", implementation="g", device="cuda")
ON_SECOND = replace(CASE, workload="h", implementation="h", device="cuda:1")


@pytest.mark.parametrize(("capability", "dtype"), [((9, 0), torch.bfloat16), ((7, 5), torch.float32)])
def test_the_pilots_of_a_gpu_are_three_kinds_of_work_by_its_own_clock(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    made: list[torch.Tensor] = []

    class Torch(OnTheCpu):
        def __getattr__(self, name: str) -> Any:
            if name not in ("full", "ones", "zeros"):
                return getattr(torch, name)

            def make(*arguments: Any, device: torch.device, **options: Any) -> torch.Tensor:
                assert device == torch.device("cuda:1")
                small = (64, 64) if name == "full" else (min(arguments[0], self.most),)
                value = (arguments[1],) if name == "full" else ()
                made.append(getattr(torch, name)(small, *value, **options))
                return made[-1]

            return make

    monkeypatch.setattr(gpu_pilots, "torch", Torch())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(L2_cache_size=50 * 2**20))
    monkeypatch.setattr(CudaDevice, "clock", lambda _: CpuClock())
    found = pilots.measure_pilots(PilotTask(threads=1, seconds=0.01, devices=("cuda:1",)))
    assert list(found) == ["cuda:1 arithmetic", "cuda:1 memory", "cuda:1 launch"]
    assert all(0 < seconds < 5 for seconds in found.values())
    assert made[0].dtype == dtype


def test_a_copy_is_larger_than_the_l2(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def ones(size: int, **_: Any) -> torch.Tensor:
        sizes.append(4 * size)
        return torch.zeros(1)

    monkeypatch.setattr(torch, "ones", ones)
    for l2 in (4 * 2**20, 126 * 2**20):
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, l2=l2: SimpleNamespace(L2_cache_size=l2))
        gpu_pilots.memory(torch.device("cuda"))
    assert sizes == [64 * 2**20, 252 * 2**20]


class GpuPilots(Pilots):
    """A launcher that has the pilots of a GPU, too: as fast as it is told, or failing."""

    def __init__(self, clock: Clock, took: float = 0.15) -> None:
        super().__init__(clock, took)
        self.gpu_scale, self.gpu_fails = 1.0, ""

    def pilots(self, threads: int, seconds: float, devices: Any = ()) -> dict[str, float]:
        if not devices:
            return super().pilots(threads, seconds)
        self.asked.append((threads, seconds))
        self.clock.time += self.took
        if self.gpu_fails:
            raise WorkerError(self.gpu_fails)
        return {f"{device} {kind}": 1e-4 * self.gpu_scale for device in devices for kind in gpu_pilots.PILOTS}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def monitored(clock: Clock, launcher: Pilots, loads: Any = (0,), warnings: list[str] | None = None) -> Monitor:
    """The monitor of a run with a GPU whose utilisation is read as ``loads``, the last one for ever."""
    left = list(loads)
    nvml = Nvml(
        nvmlDeviceGetUtilizationRates=lambda _: SimpleNamespace(gpu=left.pop(0) if len(left) > 1 else left[0], memory=0)
    )
    (handle,), _ = devices(["aaaa"], nvml)

    def wait(seconds: float) -> None:
        clock.time += seconds

    others = OtherProcesses({"cuda:0": handle}, now=clock, wait=wait)
    told = [] if warnings is None else warnings
    monitor = Monitor(launcher, 2, 90.0, told.append, now=clock, others=others)
    monitor.piloted = ("cuda:0",)
    return monitor


def timed(monitor: Monitor, clock: Clock, *cases: Any) -> None:
    began = clock.time
    clock.time += 2.0
    monitor.add_family(began, FamilyResult([result(case) for case in cases], telemetry=IDLE))


def test_a_gpu_that_slows_down_is_noise_of_its_cases_and_not_of_the_cpus(clock: Clock) -> None:
    launcher = GpuPilots(clock)
    monitor = monitored(clock, launcher)
    monitor.pilots_before("s.g")
    timed(monitor, clock, ON_GPU)
    timed(monitor, clock, CASE)
    timed(monitor, clock, ON_SECOND)
    launcher.gpu_scale = 1.5
    monitor.pilots_before("", due=True)
    on_gpu, whole = graded(monitor, ON_GPU)
    assert on_gpu["noise"]["grade"] == "noisy"  # its own times were steady
    assert on_gpu["noise"]["causes"] == ["the GPU's pilots before and after differ by 50 %"]
    assert on_gpu["noise"]["figures"]["gpu pilots"] == 0.5
    assert on_gpu["noise"]["figures"]["pilots"] == 0.0
    assert graded(monitor, CASE)[0]["noise"]["causes"] == []
    assert graded(monitor, ON_SECOND)[0]["noise"]["causes"] == []
    assert whole is not None
    assert "nvidia-smi -lgc" in whole["remedy"]


def test_a_case_on_the_cpu_in_the_family_of_one_on_the_gpu_keeps_its_grade(clock: Clock) -> None:
    monitor = monitored(clock, GpuPilots(clock), (40,))
    monitor.pilots_before("s.g")
    timed(monitor, clock, CASE, replace(CASE, device="cuda"))
    on_cpu, _ = graded(monitor, CASE)
    on_gpu, _ = graded(monitor, replace(CASE, device="cuda"))
    assert on_cpu["noise"]["grade"] == "quiet"
    assert on_gpu["noise"]["grade"] == "disturbed"


def test_another_job_between_families_is_a_cause_with_its_share(clock: Clock) -> None:
    monitor = monitored(
        clock, GpuPilots(clock), (98, 98, 0, *[60] * 200)
    )  # idle at first, once the last worker is over
    monitor.pilots_before("s.g")
    assert monitor.pilots[0].get("busy") == {"cuda:0": 0.0}
    timed(monitor, clock, OTHER)
    timed(monitor, clock, ON_GPU)
    monitor.pilots_before("", due=True)
    assert monitor.pilots[1].get("busy") == {"cuda:0": 0.6}
    record, whole = graded(monitor, ON_GPU)
    assert record["noise"]["grade"] == "disturbed"
    assert record["noise"]["causes"] == ["other processes computed on cuda:0 for 60 % of the time"]
    assert record["noise"]["figures"]["gpu others"] == 0.6
    assert whole is not None
    assert whole["remedy"].startswith("end what else computes on the GPU")
    assert graded(monitor, OTHER)[0]["noise"]["grade"] == "quiet"
    for pilot in monitor.pilots:
        check(pilot, PilotRecord, "pilots[0]")


def test_pilots_of_a_gpu_that_fail_leave_those_of_the_cpu(clock: Clock) -> None:
    launcher, warnings = GpuPilots(clock), list[str]()
    launcher.gpu_fails = "the worker failed: CUDA-capable device(s) is/are busy or unavailable"
    monitor = monitored(clock, launcher, warnings=warnings)
    for _ in range(3):
        monitor.pilots_before("s.g", due=True)
    assert [list(pilot["seconds"]) for pilot in monitor.pilots] == [["arithmetic", "memory", "calls"]] * 3
    (warning,) = warnings
    assert warning.startswith("changes of the GPU's speed are not known")
    assert "busy or unavailable" in warning
    assert len(launcher.asked) == 4


def test_without_a_gpu_there_is_nothing_new_in_the_record(clock: Clock) -> None:
    monitor = Monitor(Pilots(clock), 2, 90.0, print, now=clock)
    monitor.pilots_before("s.w")
    timed(monitor, clock, CASE)
    assert monitor.pilots[0].keys() == {"at", "before", "seconds"}
    assert not {"gpu pilots", "gpu others"} & graded(monitor)[0]["noise"]["figures"].keys()


def test_pilots_that_take_long_at_first_come_less_often(clock: Clock) -> None:
    launcher = GpuPilots(clock, took=0.5)
    monitor = monitored(clock, launcher)
    while clock.time < 120.0:
        monitor.pilots_before("s.g")
        clock.time += 0.5
    gaps = [later["at"] - pilot["at"] for pilot, later in zip(monitor.pilots, monitor.pilots[1:], strict=False)]
    assert min(gaps) >= PILOT_INTERVAL


def test_a_kind_that_a_pilot_lacks_is_left_out_of_the_change() -> None:
    kinds = ({"memory": 1.0, "cuda:0 memory": 1.0}, {"memory": 1.1}, {"memory": 1.0, "cuda:0 memory": 3.0})
    taken = [PilotRecord(at=float(at), before="", seconds=seconds) for at, seconds in enumerate(kinds)]
    assert pilots_change(taken) == pytest.approx(0.1)
    assert pilots_change(taken, {"cuda:0"}) is None
    assert pilots_change([taken[0], taken[2]], {"cuda:0"}) == pytest.approx(2.0)
    assert pilots_change([taken[0], taken[2]]) == pytest.approx(0.0)


def test_kinds_of_pilots_name_their_device() -> None:
    assert [device_of_pilot(kind) for kind in ("memory", "cuda:1 memory")] == ["cpu", "cuda:1"]
    assert concerns("memory", "cuda")
    assert concerns("cuda:0 launch", "cuda")
    assert not concerns("cuda:1 launch", "cuda")
    assert not concerns("cuda:0 launch", "cpu")


@pytest.mark.parametrize(("share", "grade"), [(0.04, None), (0.05, "noisy"), (0.29, "noisy"), (0.3, "disturbed")])
def test_others_lower_the_grade_by_their_share(share: float, grade: str | None) -> None:
    figures = Figures(1, 2, Telemetry(seconds=1.0), used_by_others={"cuda:0": 0.01, "cuda:1": share}, gpu_pilots=0.4)
    found = {cause.kind: cause for cause in causes(figures)}
    assert (found["gpu others"].grade if "gpu others" in found else None) == grade
    assert found["gpu speed"].words.endswith("while other processes used it" if grade else "differ by 40 %")
    assert found.keys() <= set(KINDS)


def test_a_family_of_an_earlier_journal_has_no_devices() -> None:
    earlier = {
        **{"begun": 0.0, "ended": 1.0, "telemetry": {"seconds": 1.0}, "drift": None, "each": {}, "gpu": {}},
        "whole": {"share": None, "rate": None, "loaders": False},
    }
    assert msgspec.convert(earlier, Timed).devices == {}
    known = Timed(
        0.0, 1.0, Telemetry(1.0), None, msgspec.convert(earlier, Timed).whole, {}, {}, devices={"a": "cuda:0"}
    )
    assert msgspec.json.decode(msgspec.json.encode(known), type=Timed) == known
