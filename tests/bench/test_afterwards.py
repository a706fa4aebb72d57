"""The passes after the timing on a GPU: the device's work, memory and energy; one that fails leaves the others."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.bench.nvml_fake import Nvml
from torchduet import Suite
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.passes import after_timing
from torchduet.bench.passes.after_timing import DELAYED_BLOCKS, measure_after_timing
from torchduet.bench.passes.operators_and_memory import peak_memory
from torchduet.bench.timing.callables import prepare
from torchduet.bench.timing.clock import Block, CpuClock
from torchduet.bench.timing.cuda_clock import CudaClock
from torchduet.bench.timing.device_cuda import context_bytes
from torchduet.bench.timing.timed_case import TimedCase

SUITE = Suite("s")
WORKLOAD = SUITE.compare("w", {"w": lambda x: x + 1}, inputs=lambda device: (torch.ones(4, device=device),))
CASE = Case("s", "s", "w", "", (), "w", True, "cuda", "eager", "fp32")


class Clock(CudaClock):
    """Times nothing: a call takes 100 µs with its launch of 90 µs, of which the device works 7 µs."""

    def __init__(self, waits: bool = False) -> None:
        self.waits = waits
        self.delayed: list[tuple[int, float]] = []

    def block(self, call: Any, args: Any, calls: int, after: Any = None, before: Any = None) -> Block:
        del call, args, calls, after, before
        return Block(1e-4, 9e-5, 1e-4)

    def behind_delay(self, call: Any, args: Any, calls: int, launch_seconds: float, before: Any = None) -> Block | None:
        del call, args, before
        self.delayed.append((calls, launch_seconds))
        return None if self.waits else Block(7e-6, 9e-5, 2e-4)

    def synchronize(self) -> None: ...


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An allocator that goes from 1,000 bytes to 5,000, and has taken 1 MiB."""
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1000)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 5000)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 3 * 2**20)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 2 * 2**20)


def run_on(clock: Any, case: Case = CASE, **changes: Any) -> TimedCase:
    run = TimedCase(prepare(WORKLOAD, case, (torch.ones(4),)), clock, calls=10, seconds=1e-4, **changes)
    run.placements = [[clock.block(None, (), 10) for _ in range(3)]] if isinstance(clock, Clock) else [[Block(1, 1, 1)]]
    return run


def found_of(run: TimedCase, **options: Any) -> CaseResult:
    result = CaseResult(run.prepared.case)
    family = Family((run.prepared.case,), (run.prepared.case,))
    measure_after_timing(run, result, WORKLOAD, Task(family, 1.0, 1, **options))
    return result


@pytest.mark.usefixtures("memory")
def test_the_devices_work_is_timed_behind_a_delay_as_long_as_launching() -> None:
    clock = Clock()
    result = found_of(run_on(clock))
    assert result.device_seconds == 7e-6
    assert clock.delayed == [(10, pytest.approx(9e-5))] * DELAYED_BLOCKS
    assert (result.peak_bytes, result.reserved_bytes) == (4000, 2**20)
    assert result.energy is None


@pytest.mark.usefixtures("memory")
def test_of_a_call_that_waits_for_the_device_its_work_is_not_known() -> None:
    result = found_of(run_on(Clock(waits=True)))
    assert result.waits_for_device
    assert result.device_seconds is None


@pytest.mark.usefixtures("memory")
def test_a_graphs_memory_was_taken_when_it_was_captured() -> None:
    run = run_on(Clock())
    run = replace(run, prepared=replace(run.prepared, case=replace(CASE, mode="graph")))
    assert found_of(run).peak_bytes is None


@pytest.mark.usefixtures("memory")
def test_it_is_not_timed_cold_nor_behind_delays_that_would_last_too_long() -> None:
    assert found_of(run_on(Clock(), cold=True)).device_seconds is None
    run = run_on(Clock())
    run.calls = 1000
    assert found_of(run).device_seconds is None
    assert (
        found_of(run_on(CpuClock(), Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32"))).device_seconds
        is None
    )


@pytest.mark.usefixtures("memory")
def test_energy_is_measured_where_it_is_asked_for_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def counter_for(device: str, uuids: dict[str, str]) -> Any:
        asked.append((device, uuids))
        return SimpleNamespace(source="fake", joules=lambda: 0.0) if uuids else "its UUID is not known"

    monkeypatch.setattr(after_timing, "counter_for", counter_for)
    monkeypatch.setattr(
        after_timing, "joules_per_call", lambda some, counter: {"joules": some(), "source": counter.source}
    )
    assert found_of(run_on(Clock()), energy=True).energy == {"why": "its UUID is not known"}
    assert found_of(run_on(Clock()), energy=True, uuids={"cuda": "a"}).energy == {"joules": 300, "source": "fake"}
    assert asked == [("cuda", {}), ("cuda", {"cuda": "a"})]


def test_cudas_own_memory_is_what_initialising_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([SimpleNamespace(used=10 * 2**20), SimpleNamespace(used=512 * 2**20)])
    nvml = Nvml(nvmlDeviceGetMemoryInfo=lambda _: next(used))
    monkeypatch.setattr(torch, "zeros", lambda *_, device: device)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 2 * 2**20)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert context_bytes("cuda", "aaaa", nvml) == 500 * 2**20
    assert context_bytes("cuda", "cccc", nvml) is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert context_bytes("cuda", "aaaa", nvml) is None


def test_peak_memory_does_not_depend_on_what_a_call_releases_first() -> None:
    layer, x = torch.nn.Linear(64, 64), torch.ones(8, 64)

    def step() -> None:
        layer.zero_grad()
        layer(x).sum().backward()

    peaks = set()
    for number in range(6):
        if number % 2:
            step()  # its gradients are released by the next call, which the profiler reports by chance
        peaks.add(peak_memory(step, "cpu")[0])
    (peak,) = peaks
    assert peak is not None
    assert peak >= 64 * 64 * 4  # at least the gradient of the weight


def test_a_pass_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA is gone")

    monkeypatch.setattr(after_timing, "peak_memory", fail)
    result = found_of(run_on(Clock()))
    assert result.peak_bytes is None
    assert result.device_seconds == 7e-6
    assert "CUDA is gone" in capsys.readouterr().err
