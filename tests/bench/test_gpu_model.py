"""CUDA's clock on a model of a GPU: what is compared is the device's work, whatever the launches take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.bench.gpu_model import CYCLE, QUEUE, ModelGpu, OnTheHost, installed
from torchduet import Suite
from torchduet.bench.cases import case as case_module
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.passes.ceilings import best
from torchduet.bench.run.records import speedup_record, timing_record
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing import cuda_clock, first_calls, pacing
from torchduet.bench.timing.cuda_clock import MAX_DELAY, CudaClock
from torchduet.bench.timing.slowed.copies import slow_down
from torchduet.bench.timing.timed_case import TimedCase, warm_up
from torchduet.bench.workers.family import Stages
from torchduet.bench.workers.left_running import left_running

CASE = Case("s", "s", "w", "", (), "w", True, "cuda", "eager", "fp32")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModelGpu:
    return installed(monkeypatch)


def kernels(gpu: ModelGpu, number: int, seconds: float, host: float) -> Callable[[], None]:
    def call() -> None:
        for _ in range(number):
            gpu.launch(seconds, host)

    return call


def timed(call: Callable[[], object], case: Case = CASE, **options: Any) -> TimedCase:
    prepared: Any = SimpleNamespace(
        case=case,
        call=call,
        args=(),
        context=SimpleNamespace(meter=SimpleNamespace(paused=False)),
        own_state=OwnState(),
    )
    return TimedCase(prepared, CudaClock("cuda"), **options)


@pytest.mark.parametrize("seconds", [30e-6, 200e-6, 2e-3, 8e-3, 0.1])
@pytest.mark.parametrize("host", [2e-6, 25e-6])
def test_a_block_that_the_device_limits_takes_as_long_as_its_kernels(
    gpu: ModelGpu, seconds: float, host: float
) -> None:
    run = timed(kernels(gpu, 1, seconds, host))
    warm_up(run, 0.05)
    assert run.block().seconds == pytest.approx(seconds, rel=0.05 if seconds < 1e-4 else 0.006)


def test_a_block_that_launching_limits_takes_as_long_as_launching(gpu: ModelGpu) -> None:
    run = timed(kernels(gpu, 3, 1e-6, 10e-6))
    warm_up(run, 0.05)
    block = run.block()
    assert block.seconds == pytest.approx(30e-6, rel=0.02)
    assert block.host == pytest.approx(block.seconds, rel=0.02)


def test_the_wall_time_of_a_block_leaves_its_lead_in_out(gpu: ModelGpu) -> None:
    run = timed(kernels(gpu, 1, 2e-3, 5e-6), calls=1, seconds=2e-3)
    assert run.block().wall == pytest.approx(2e-3, rel=0.01)


def test_nothing_of_a_block_depends_on_what_ran_before_it(gpu: ModelGpu) -> None:
    run = timed(kernels(gpu, 1, 3e-4, 5e-6), calls=1, seconds=3e-4)
    alone = run.block().seconds
    gpu.launch(0.5)
    assert run.block().seconds == pytest.approx(alone, rel=1e-6)


def test_what_is_queued_behind_a_delay_fits_into_the_queue(gpu: ModelGpu) -> None:
    """At 4 µs per launch, 5 ms of launching are more than can be pending: the host would wait for the device."""
    clock = CudaClock("cuda")
    many = kernels(gpu, int(5e-3 / 4e-6), 1e-6, 4e-6)
    assert clock.behind_delay(many, (), 1, 5e-3) is None
    fitting = kernels(gpu, int(MAX_DELAY / 1.6 / 4e-6), 1e-6, 4e-6)
    gpu.blocked = 0
    block = clock.behind_delay(fitting, (), 1, MAX_DELAY / 1.6)
    assert block is not None
    assert gpu.blocked == 0
    assert MAX_DELAY / 4e-6 < QUEUE
    assert block.seconds == pytest.approx(2e-6 * int(MAX_DELAY / 1.6 / 4e-6), rel=0.01)


@pytest.mark.parametrize(("host", "calls"), [(10e-6, 10), (5e-4, 10), (3e-6, 1)])
def test_a_cold_call_takes_the_devices_time_whatever_launching_takes(gpu: ModelGpu, host: float, calls: int) -> None:
    clock = CudaClock("cuda")
    clock._flush_buffer = SimpleNamespace(zero_=lambda: gpu.launch(60e-6))  # type: ignore[assignment]
    call = kernels(gpu, 1, 40e-6, host)
    block = clock.cold(call, (), calls)
    block = clock.cold(call, (), calls, launch_seconds=block.host)
    assert block.seconds == pytest.approx(40e-6, rel=0.03)


@pytest.mark.parametrize(("seconds", "host"), [(100e-6, 5e-6), (3e-6, 12e-6), (5e-3, 5e-6)])
def test_a_slowed_copys_block_takes_longer_by_its_share_launch_included(
    gpu: ModelGpu, seconds: float, host: float
) -> None:
    """The delay kernel's launch takes 5 µs, of a block of 0.3 ms that launching limits: 1.7 %."""
    call = kernels(gpu, 1, seconds, host)
    original = timed(call)
    warm_up(original, 0.05)
    copy = timed(call, Case(**{**vars(CASE), "slowdown": 1.05, "copy_number": 2}))
    slow_down(copy, original)
    assert copy.block().seconds / original.block().seconds == pytest.approx(1.05, abs=0.002)


def test_work_left_on_another_stream_is_waited_for_and_told(gpu: ModelGpu) -> None:
    def call() -> None:
        gpu.launch(10e-6)
        gpu.launch(400e-6, stream="other")

    run = timed(call, calls=1, seconds=1e-5)
    block = run.block()
    assert block.unfinished > 300e-6
    assert timed(kernels(gpu, 1, 1e-4, 5e-6), calls=1, seconds=1e-4).block().unfinished < 1e-5


GPU: list[ModelGpu] = []


def _launching(x: torch.Tensor, *, host: float, seconds: float = 100e-6, other: float = 0.0) -> torch.Tensor:
    GPU[0].launch(seconds, host)
    if other:
        GPU[0].launch(other, stream="other")
    return x + 1


def family_of(monkeypatch: pytest.MonkeyPatch, functions: Mapping[str, Callable[..., Any]]) -> Family:
    workload = Suite("modelled").compare("w", functions, inputs=lambda _: (torch.ones(4),))
    cases = tuple(
        Case("modelled", "modelled", "w", name, (), name, not index, "cuda", "eager", "fp32")
        for index, name in enumerate(functions)
    )
    for module in (first_calls, case_module):
        monkeypatch.setattr(module, "workload_of", lambda _: workload)
    return Family(cases, cases)


def measured(monkeypatch: pytest.MonkeyPatch, folder: Path, **functions: Callable[..., Any]) -> dict[str, CaseResult]:
    """The results of a whole visit to a family whose cases are on the model."""
    family = family_of(monkeypatch, functions)
    for name, number in (
        ("MAX_ROUNDS", 6),
        ("MAX_STRETCH", 1),
        ("MAX_REPEATS", 1),
    ):  # its seconds pass sooner than ours
        monkeypatch.setattr(pacing, name, number)
    stages = Stages(Task(family, 60.0, 1, str(folder)), lambda _what, _fraction: None)
    with OnTheHost():
        stages.prepare_device("cuda", family.cases)
        stages.warm_up()
        stages.time()
        stages.after()
        stages.still_computes()
        stages.finish()
    return {result.case.implementation: result for result in stages.results.values()}


def test_two_cases_that_the_device_limits_are_the_same_though_their_launches_differ(
    gpu: ModelGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(f"{__name__}.GPU", [gpu])
    results = measured(
        monkeypatch,
        tmp_path,
        quick=functools.partial(_launching, host=5e-6),
        slow=functools.partial(_launching, host=25e-6),
    )
    quick, slow = results["quick"], results["slow"]
    assert (quick.error, slow.error) == (None, None)
    record = speedup_record("implementation", slow, quick)
    assert record["ratio"] == pytest.approx(1, abs=0.005)
    assert record["verdict"] == "same"
    timing = timing_record(slow, "time")
    assert timing["launch_bound"] is False
    assert timing["device_seconds"] == pytest.approx(100e-6, rel=0.02)


def test_a_case_that_works_on_after_its_stream_fails_and_says_why(
    gpu: ModelGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(f"{__name__}.GPU", [gpu])
    results = measured(
        monkeypatch,
        tmp_path,
        honest=functools.partial(_launching, host=5e-6),
        hasty=functools.partial(_launching, host=5e-6, seconds=10e-6, other=90e-6),
    )
    assert results["honest"].error is None
    assert "other streams" in str(results["hasty"].error)


def test_the_ceiling_of_a_small_set_is_the_devices_and_that_of_an_operator_its_launchs(gpu: ModelGpu) -> None:
    call = kernels(gpu, 1, 3e-6, 10e-6)
    assert best(CudaClock("cuda"), call, seconds=0.01) == pytest.approx(4e-6, rel=0.02)  # with the pause after a kernel
    assert best(CudaClock("cuda"), call, seconds=0.01, launched=True) == pytest.approx(10e-6, rel=0.02)


class Restoring:
    """Puts inputs back by a copy that takes the device 2 µs and the host 20 µs."""

    active, seconds = True, 2e-6

    def __init__(self, gpu: ModelGpu) -> None:
        self.gpu = gpu

    def before_call(self, run: object) -> None:
        del run
        self.gpu.launch(2e-6, 5e-6)
        self.gpu.now += 15e-6

    def moved(self) -> None: ...


@pytest.mark.parametrize("host", [5e-6, 12e-6, 60e-6])
@pytest.mark.parametrize("seconds", [3e-6, 50e-6, 1e-3])
def test_a_call_whose_inputs_are_put_back_takes_the_devices_time(gpu: ModelGpu, host: float, seconds: float) -> None:
    """The host launches the call after the device has put the inputs back: the gap would be in the block."""
    run = timed(kernels(gpu, 1, seconds, host), calls=1, seconds=seconds, restoring=Restoring(gpu))
    run.block()
    assert run.block().seconds == pytest.approx(seconds + 1e-6, rel=0.02)  # with the pause after a kernel
    assert run.launch_hidden


def test_the_delay_follows_a_clock_that_has_risen_since_it_was_calibrated(
    gpu: ModelGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibrated on an idle GPU, whose clock is a fifth: delays would be shorter than launching."""
    clock = CudaClock("cuda")
    monkeypatch.setattr(cuda_clock, "seconds_per_cycle", lambda _: 5 * CYCLE)
    call = kernels(gpu, 1, 3e-6, 10e-6)
    assert clock.behind_delay(call, (), 40, 10e-6) is None
    block = clock.behind_delay(call, (), 40, 10e-6)
    assert block is not None
    assert block.seconds == pytest.approx(4e-6, rel=0.02)


def test_waiting_for_an_idle_device_is_no_work_left(gpu: ModelGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some drivers take longer for it than the limit."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: (gpu.synchronize(), setattr(gpu, "now", gpu.now + 8e-5)))
    run = timed(kernels(gpu, 1, 1e-4, 5e-6), calls=1, seconds=1e-4)
    for _ in range(5):
        run.block()
    assert left_running(run) is None
