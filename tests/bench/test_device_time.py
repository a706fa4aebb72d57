"""The device's own time, paired in alternation: whether the kernels or the launches of two cases differ."""

import math
import random
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet import Suite
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, Pace
from torchduet.bench.passes.device_time import MAX_ROUNDS, QUEUE_SECONDS, SHARE, DeviceTimes, calls_per_block
from torchduet.bench.record.schema import SpeedupRecord
from torchduet.bench.record.visits.entry import with_visit
from torchduet.bench.record.visits.intervals import judged
from torchduet.bench.run.records import records, speedup_record, timing_record
from torchduet.bench.run.visiting import entries_of
from torchduet.bench.timing import alternation
from torchduet.bench.timing.alternation import Alternation
from torchduet.bench.timing.clock import Block, CpuClock, DelayingClock
from torchduet.bench.timing.pacing import Plan
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import TimedCase

SYNCHRONIZING = 1e-5
EVENTS = 1.5e-6  # what the events add to a block
MAX_DELAY = 2e-3


class Gpu:
    """A device in whose time calls are launched and executed, each with a scatter of 0.2 %."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.rng = 0.0, random.Random(0)
        self.delayed: list[tuple[str, int]] = []
        monkeypatch.setattr(alternation, "awake", lambda: self.now)
        monkeypatch.setattr(TimedCase, "_after_children", lambda _: 0)

    def case(
        self, mode: str, launch: float, device: float, *, calls: int = 60, waits: bool = False, **changes: Any
    ) -> TimedCase:
        """A case whose calls take ``launch`` seconds on the host and ``device`` on the GPU."""
        where = changes.pop("device_name", "cuda")
        case = Case("s", "s", "w", "", (), "w", mode == "eager", where, mode, "fp32", **changes)
        context = SimpleNamespace(meter=SimpleNamespace(paused=False))
        state = SimpleNamespace(entered=lambda **_: nullcontext())
        prepared: Any = SimpleNamespace(
            case=case, call=lambda: None, args=(), context=context, own_state=state, graph=None, renew=None
        )
        as_called = launch + device if waits else max(launch, device)
        return TimedCase(prepared, Clock(self, case, launch, device, waits=waits), calls=calls, seconds=as_called)

    def scatter(self, seconds: float) -> float:
        return seconds * math.exp(self.rng.gauss(0, 0.002))


class Clock:
    """Times blocks of a case on the device, as called and behind a delay."""

    name, cold_calls, needs_lead_in = "cuda_events", 10, True

    def __init__(self, gpu: Gpu, case: Case, launch: float, device: float, *, waits: bool) -> None:
        self.gpu, self.case, self.launch, self.device, self.waits = gpu, case, launch, device, waits
        self.fails: Callable[[], bool] = lambda: False

    def block(self, call: Any, args: Any, calls: int, *_: Any, **__: Any) -> Block:
        del call, args
        seconds = self.gpu.scatter(self.launch + self.device if self.waits else max(self.launch, self.device))
        self.gpu.now += calls * seconds + SYNCHRONIZING
        return Block(seconds, seconds if self.waits else self.launch, seconds)

    def behind_delay(self, call: Any, args: Any, calls: int, launch_seconds: float) -> Block | None:
        del call, args
        delay = min(1.5 * calls * launch_seconds, MAX_DELAY)
        self.gpu.now += delay + calls * self.device + SYNCHRONIZING
        self.gpu.delayed.append((self.case.mode, calls))
        if self.waits or self.fails() or calls * self.launch >= delay:
            return None
        return Block(self.gpu.scatter(self.device) + EVENTS / calls, self.launch, delay / calls)

    def cold(self, *_: Any, **__: Any) -> Block:
        raise NotImplementedError

    def synchronize(self) -> None: ...


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return Gpu(monkeypatch)


def timed(gpu: Gpu, runs: list[TimedCase], placements: int = 12) -> dict[str, CaseResult]:
    """Time the cases in alternation; their results by mode."""
    results = {run.prepared.case: CaseResult(run.prepared.case, clock="cuda_events") for run in runs}
    times = DeviceTimes(random.Random(1), lambda: gpu.now)
    stopping = Stopping(1e9, max_placements=placements, now=lambda: gpu.now)
    plan = Plan(16)
    Alternation(
        lambda _: None, stopping, plan, random.Random(2), lambda _, error: str(error), lambda: None, times.after_rounds
    ).time(runs)
    times.finish(results)
    for run in runs:
        result = results[run.prepared.case]
        result.blocks, result.calls, result.pace = run.blocks, run.calls, Pace(1e-5, 1e-5, 10, 0, idle_waiting=False)
        result.host = [[block.host for block in placement] for placement in run.placements]
        result.wall, result.error = [[block.wall for block in placement] for placement in run.placements], run.error
        result.first_call = {"seconds": 1.0, "calls": 1}
        result.check = {"what": "values", "relative_error": 0.0, "tolerance": None}
    return {case.mode: result for case, result in results.items()}


def compared(found: dict[str, CaseResult], mode: str = "graph") -> SpeedupRecord:
    return speedup_record("mode", found[mode], found["eager"])


def test_the_fake_is_a_clock_that_delays(gpu: Gpu) -> None:
    assert isinstance(gpu.case("eager", 1e-5, 1e-5).clock, DelayingClock)


def test_where_launching_makes_the_difference_the_kernels_are_the_same(gpu: Gpu) -> None:
    speedup = compared(timed(gpu, [gpu.case("eager", 30e-6, 10e-6), gpu.case("graph", 2e-6, 10e-6, calls=180)]))
    assert speedup["ratio"] == pytest.approx(3.0, rel=0.01)
    assert speedup["verdict"] == "faster"
    of_device = speedup["device_speedup"]
    assert of_device["ratio"] == pytest.approx(1.0, rel=0.003)
    assert of_device["verdict"] == "same"
    assert of_device["low"] is not None
    assert of_device["low"] <= of_device["ratio"]


def test_where_launching_hides_it_the_kernels_gain_is_found(gpu: Gpu) -> None:
    speedup = compared(timed(gpu, [gpu.case("eager", 30e-6, 19e-6), gpu.case("graph", 30e-6, 10e-6)]))
    assert speedup["verdict"] == "same"
    assert speedup["device_speedup"]["verdict"] == "faster"
    assert speedup["device_speedup"]["ratio"] == pytest.approx(1.9, rel=0.02)


@pytest.mark.parametrize("calls", [(20, 20), (20, 600)])
def test_short_kernels_are_not_told_apart_by_their_numbers_of_calls(gpu: Gpu, calls: tuple[int, int]) -> None:
    eager, graph = gpu.case("eager", 100e-6, 5e-6, calls=calls[0]), gpu.case("graph", 3e-6, 5e-6, calls=calls[1])
    assert compared(timed(gpu, [eager, graph]))["device_speedup"]["verdict"] == "same"
    assert {number for _, number in gpu.delayed} == {int(QUEUE_SECONDS / 100e-6)}


def test_blocks_of_long_kernels_are_short(gpu: Gpu) -> None:
    runs = [gpu.case("eager", 10e-6, 20e-6), gpu.case("graph", 10e-6, 50e-3, calls=1)]
    for run in runs:
        run.placements = [[Block(run.seconds, 10e-6, run.seconds)]]
    number = calls_per_block(runs)
    assert [number[run.prepared.case] for run in runs] == [75, 1]


def test_it_takes_a_tenth_of_the_time_and_a_few_rounds_of_each_placement(gpu: Gpu) -> None:
    runs = [gpu.case("eager", 30e-6, 10e-6), gpu.case("graph", 2e-6, 10e-6, calls=180)]
    spent: list[float] = []
    after_rounds = DeviceTimes.after_rounds

    def measured(times: DeviceTimes, group: Any) -> None:
        before = gpu.now
        after_rounds(times, group)
        spent.append(gpu.now - before)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeviceTimes, "after_rounds", measured)
        found = timed(gpu, runs)
    one_round = max(spent)
    assert sum(spent) <= SHARE * gpu.now + one_round
    blocks = found["eager"].device_blocks
    assert len(blocks) >= 4
    assert all(1 <= len(rounds) <= MAX_ROUNDS for rounds in blocks)
    assert list(map(len, blocks)) == list(map(len, found["graph"].device_blocks))


def test_a_call_that_waits_for_the_device_has_no_device_time_and_leaves_the_others_theirs(gpu: Gpu) -> None:
    runs = [gpu.case("eager", 30e-6, 10e-6), gpu.case("compile", 30e-6, 10e-6, waits=True)]
    found = timed(gpu, [*runs, gpu.case("graph", 3e-6, 10e-6)])
    assert found["compile"].waits_for_device
    assert (found["compile"].device_seconds, found["compile"].device_blocks) == (None, [])
    assert "device_speedup" not in compared(found, "compile")
    assert compared(found)["device_speedup"]["verdict"] == "same"
    assert not found["eager"].waits_for_device


def test_rounds_in_which_a_context_switch_outlasts_the_delay_are_left_out_for_all(gpu: Gpu) -> None:
    eager, graph = gpu.case("eager", 30e-6, 10e-6), gpu.case("graph", 3e-6, 10e-6)
    clock: Any = graph.clock
    clock.fails = lambda: gpu.rng.random() < 0.4
    found = timed(gpu, [eager, graph])
    assert not found["graph"].waits_for_device
    assert list(map(len, found["eager"].device_blocks)) == list(map(len, found["graph"].device_blocks))
    assert compared(found)["device_speedup"]["ratio"] == pytest.approx(1.0, rel=0.01)


def test_it_is_not_timed_cold_nor_on_a_host_nor_where_a_launch_outlasts_the_delay(gpu: Gpu) -> None:
    cold = gpu.case("eager", 30e-6, 10e-6)
    cold.cold = True
    cpu = gpu.case("compile", 30e-6, 10e-6, device_name="cpu")
    cpu.clock = CpuClock()
    copy = gpu.case("eager", 30e-6, 10e-6, copy_number=1)
    long = gpu.case("graph", 1.5e-3, 10e-6)
    times = DeviceTimes(random.Random(0), lambda: gpu.now)
    for run in (cold, cpu, copy, long):
        run.placements = [[Block(1e-4, 1.5e-3 if run is long else 3e-5, 1e-4)]]
        times.after_rounds([run])
    assert gpu.delayed == []


def test_a_call_that_raises_behind_a_delay_keeps_its_other_times(
    gpu: Gpu, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    eager, graph = gpu.case("eager", 30e-6, 10e-6), gpu.case("graph", 3e-6, 10e-6)

    def fail(*_: Any) -> Any:
        raise RuntimeError("no delay kernel")

    monkeypatch.setattr(graph.clock, "behind_delay", fail)
    found = timed(gpu, [eager, graph])
    assert found["graph"].error is None
    assert found["graph"].device_seconds is None
    assert found["eager"].device_seconds == pytest.approx(10e-6, rel=0.02)
    assert "no delay kernel" in capsys.readouterr().err


def test_a_case_without_work_for_the_device_has_no_ratio(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    eager, graph = gpu.case("eager", 30e-6, 10e-6), gpu.case("graph", 3e-6, 10e-6)
    monkeypatch.setattr(graph.clock, "behind_delay", lambda *_: Block(0.0, 3e-6, 1e-5))
    found = timed(gpu, [eager, graph])
    assert found["graph"].device_seconds == 0.0
    assert "device_blocks" not in timing_record(found["graph"], "budget")
    assert "device_speedup" not in compared(found)


def test_cases_on_two_devices_have_no_speed_up_of_kernels(gpu: Gpu) -> None:
    found = timed(gpu, [gpu.case("eager", 30e-6, 10e-6), gpu.case("graph", 3e-6, 10e-6, device_name="cuda:1")])
    assert found["graph"].device_blocks
    assert "device_speedup" not in compared(found)


def test_each_visit_adds_its_own_ratio_of_the_kernels(gpu: Gpu) -> None:
    def visit() -> tuple[Family, FamilyResult]:
        found = timed(gpu, [gpu.case("eager", 30e-6, 19e-6), gpu.case("graph", 30e-6, 10e-6)])
        cases = tuple(result.case for result in found.values())
        return Family(cases, cases), FamilyResult(list(found.values()), "budget")

    family, first = visit()
    eager, graph = family.cases
    outcomes = records(family, first, Suite("s").compare("w", {"w": abs}, inputs=lambda device: (device,)))
    record = outcomes[graph].record  # type: ignore[union-attr]
    assert record["timing"]["device_seconds"] == pytest.approx(10e-6, rel=0.05)
    number = len(record["timing"]["device_blocks"])
    for at in (1.0, 2.0):
        _, later = visit()
        record = with_visit(record, entries_of(family, later)[graph], at)
    base = outcomes[eager].record  # type: ignore[union-attr]
    of_run = judged({"eager": base, "graph": record}, {})
    (speedup, *_) = of_run.records["graph"]["speedups"]
    of_device = speedup["device_speedup"]
    assert len(of_device["visit_ratios"]) == len(of_device["visit_errors"]) == 3
    assert of_device["interval"]["visits"] == 3
    assert (speedup["verdict"], of_device["verdict"]) == ("same", "faster")
    assert len(record["timing"]["device_blocks"]) > number
    assert of_device["placements"] == len(record["timing"]["device_blocks"])
