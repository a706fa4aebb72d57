"""The passes after the timing on a GPU: waiting, memory, energy, calls without pause; one may fail alone."""

import random
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.bench.nvml_fake import Nvml
from torchduet import Cost, Suite
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.restoring import PutBack
from torchduet.bench.passes import after_timing
from torchduet.bench.passes.after_timing import measure_after_timing
from torchduet.bench.passes.back_to_back import SUSTAINED_SECONDS, back_to_back
from torchduet.bench.passes.energy import WINDOW_SECONDS
from torchduet.bench.passes.operators_and_memory import peak_memory
from torchduet.bench.timing.callables import prepare
from torchduet.bench.timing.clock import Block, CpuClock
from torchduet.bench.timing.cuda_clock import CudaClock
from torchduet.bench.timing.device_cuda import CudaDevice, context_bytes
from torchduet.bench.timing.timed_case import TimedCase

SUITE = Suite("s")
WORKLOAD = SUITE.compare("w", {"w": lambda x: x + 1}, inputs=lambda device: (torch.ones(4, device=device),))
CASE = Case("s", "s", "w", "", (), "w", True, "cuda", "eager", "fp32")


class Clock(CudaClock):
    """Times nothing: a call takes 100 µs with its launch of 90 µs."""

    def __init__(self) -> None: ...

    def block(self, call: Any, args: Any, calls: int, after: Any = None, before: Any = None) -> Block:
        del call, args, calls, after, before
        return Block(1e-4, 9e-5, 1e-4)

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


def found_of(run: TimedCase, *, sustain: bool = False, **options: Any) -> CaseResult:
    result = CaseResult(run.prepared.case)
    family = Family((run.prepared.case,), (run.prepared.case,))
    measure_after_timing(run, result, WORKLOAD, Task(family, 1.0, 1, **options), sustain=sustain)
    return result


@pytest.mark.usefixtures("memory")
def test_memory_is_what_the_allocator_counts_and_nothing_is_measured_unasked() -> None:
    result = found_of(run_on(Clock()))
    assert (result.peak_bytes, result.reserved_bytes) == (4000, 2**20)
    assert (result.energy, result.sustained) == (None, None)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(("waits", "host"), [(True, 5e-3), (False, 5e-3), (None, 0.05)])
def test_a_call_that_launches_for_long_is_told_from_one_that_waits(
    monkeypatch: pytest.MonkeyPatch, waits: bool | None, host: float
) -> None:
    now, busy_until = 0.0, 0.0

    def call(x: torch.Tensor) -> torch.Tensor:
        nonlocal now
        now = max(now, busy_until if waits else 0.0) + host
        return x

    def delay(_: object, seconds: float) -> Any:
        def keep_busy() -> None:
            nonlocal busy_until
            busy_until = now + seconds

        return keep_busy

    monkeypatch.setattr(after_timing, "perf_counter", lambda: now)
    monkeypatch.setattr(CudaDevice, "delay", delay)
    run = run_on(Clock())
    run.prepared = replace(run.prepared, call=call)
    run.placements = [[Block(host, host, host)] * 3]
    result = found_of(run)
    assert (result.waits_for_device, result.waiting_unknown) == (waits is True, waits is None)


@pytest.mark.usefixtures("memory")
def test_a_graphs_memory_was_taken_when_it_was_captured() -> None:
    run = run_on(Clock())
    run = replace(run, prepared=replace(run.prepared, case=replace(CASE, mode="graph")))
    assert found_of(run).peak_bytes is None


class Joules:
    """A counter of 300 W that takes a new value at each reading; time passes with these."""

    source = "fake"

    def __init__(self) -> None:
        self.time = 0.0

    def joules(self) -> float:
        self.time += 0.01
        return 300.0 * self.time


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """A GPU with an energy counter and clocks, if its UUID is known; for which devices it is asked."""
    asked: list[tuple[str, dict[str, str]]] = []
    joules = Joules()

    def counter_for(device: str, uuids: dict[str, str]) -> Any:
        asked.append((device, uuids))
        return joules if uuids else "its UUID is not known"

    monkeypatch.setattr(after_timing, "counter_for", counter_for)
    monkeypatch.setattr(after_timing, "sm_clock", lambda uuid: (lambda: 1755.0) if uuid else None)
    monkeypatch.setattr(after_timing, "back_to_back", partial(back_to_back, now=lambda: joules.time))
    return asked


@pytest.mark.usefixtures("memory")
def test_energy_is_measured_where_it_is_asked_for_or_says_why_not(counter: list[Any]) -> None:
    without = found_of(run_on(Clock()), energy=True)
    assert (without.energy, without.sustained) == ({"why": "its UUID is not known"}, None)
    found = found_of(run_on(Clock()), energy=True, uuids={"cuda": "a"})
    assert found.energy is not None
    assert found.energy["source"] == "fake"
    assert found.energy["seconds"] >= WINDOW_SECONDS
    assert found.sustained is not None
    assert found.sustained["watts"] == pytest.approx(300.0, rel=0.01)
    assert found.sustained["sm_mhz"] == 1755.0
    assert counter == [("cuda", {}), ("cuda", {"cuda": "a"})]


@pytest.mark.usefixtures("memory")
def test_calls_without_pause_take_a_second_where_there_is_time_for_it(counter: list[Any]) -> None:
    found = found_of(run_on(Clock()), sustain=True, uuids={"cuda": "a"})
    assert found.energy is None
    assert found.sustained is not None
    assert SUSTAINED_SECONDS <= found.sustained["window_seconds"] < WINDOW_SECONDS
    on_cpu = found_of(run_on(CpuClock(), replace(CASE, device="cpu")), sustain=True)
    assert (on_cpu.sustained, len(counter)) == (None, 1)


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
    result = found_of(run_on(Clock()), energy=True)
    assert result.peak_bytes is None
    assert result.energy is not None
    assert "CUDA is gone" in capsys.readouterr().err


@pytest.mark.usefixtures("memory")
def test_putting_inputs_back_is_none_of_a_calls_operators() -> None:
    suite = Suite("s")
    workload = suite.compare(
        "w", {"w": lambda x: x.relu_()}, inputs=lambda _: (torch.ones(4),), cost=lambda: Cost(flops=4)
    )
    case = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
    inputs = (torch.ones(4),)
    placements = Placements(inputs, random.Random(0))
    put_back = PutBack(placements)
    put_back.include(placements.everything_of({0}))
    run = TimedCase(prepare(workload, case, inputs), CpuClock(), seconds=1e-4, restoring=put_back)
    run.placements, run.changes = [[Block(1, 1, 1)]], put_back.changes
    result = CaseResult(case)
    measure_after_timing(run, result, workload, Task(Family((case,), (case,)), 1.0, 1))
    assert result.operators == 1
