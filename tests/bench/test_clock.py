"""Clocks: per call, and on CUDA by events with one synchronisation after the block."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.host.cpu_cache import UNKNOWN, last_level_bytes
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing import clock as clocks
from torchduet.bench.timing import cuda_clock
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.gpu.sm_clock import SmClock
from torchduet.bench.timing.timed_case import TimedCase


def test_the_cpu_clock_counts_every_call() -> None:
    calls: list[int] = []
    block = clocks.CpuClock().block(calls.append, (1,), 250)
    assert len(calls) == 250
    assert block.seconds == block.host == block.wall > 0


def test_each_cold_call_finds_other_data_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "last_level_bytes", lambda: 1000)
    clock, flushed = clocks.CpuClock(), []

    def call() -> None:
        assert clock._flush_buffer is not None
        flushed.append(int(clock._flush_buffer[0]))

    block = clock.cold(call, (), 3, lambda: flushed.append(-1))
    assert flushed == [1, 2, 3, -1]
    assert block.seconds > 0


def test_the_last_level_cache_is_the_largest(tmp_path: Path) -> None:
    for index, size in enumerate(("32K", "32K", "1024K", "32M")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    assert last_level_bytes(tmp_path) == 32 * 2**20
    assert last_level_bytes(tmp_path / "none") == UNKNOWN


class FakeEvent:
    """torch.cuda.Event as the clock uses it; the device needs 3 ms per recorded call."""

    log: list[str]

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing
        self.at = 0.0

    def record(self, stream: object = "stream of cuda:1") -> None:
        assert stream == "stream of cuda:1"
        self.at = 3.0 * self.log.count("call") + 5.0 * self.log.count("sleep") + 7.0 * self.log.count("flush")
        self.log.append("record")

    def synchronize(self) -> None:
        self.log.append("synchronize event")

    def elapsed_time(self, end: "FakeEvent") -> float:
        return end.at - self.at


class FakeMemory:
    """What is written to flush the L2."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def zero_(self) -> None:
        self.log.append("flush")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The order of what the clock does, on a CUDA that is faked at torch's own interface."""
    events: list[str] = []
    FakeEvent.log = events

    class Device:
        def __init__(self, device: torch.device) -> None:
            assert device == torch.device("cuda:1")

        def __enter__(self) -> None: ...
        def __exit__(self, *_: Any) -> None: ...

    def empty(size: int, *, dtype: torch.dtype, device: torch.device) -> FakeMemory:
        assert (size, dtype, device) == (3 * 50 * 2**20, torch.uint8, torch.device("cuda:1"))
        return FakeMemory(events)

    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: events.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "_sleep", lambda _: events.append("sleep"))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(L2_cache_size=50 * 2**20))
    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(SmClock, "after_block", lambda _: events.append("sample of the SM clock"))
    return events


# For the block, for other streams, for nothing, and when all of its figures are taken, the SM clock.
WAIT = ["synchronize event", "synchronize", "synchronize", "sample of the SM clock"]
HOLD = ["record", "sleep"]


def test_the_cuda_clock_starts_behind_the_lead_in_without_waiting_for_it(log: list[str]) -> None:
    clock = device_of("cuda:1").clock()
    block = clock.block(lambda: log.append("call"), (), 4, before=lambda: log.append("lead-in"))
    assert log == ["synchronize", "lead-in", "record", "call", "call", "call", "call", "record", *WAIT]
    assert block.seconds == pytest.approx(3e-3)  # per call, from milliseconds
    assert 0 < block.host <= block.wall


def test_launches_are_hidden_behind_a_delay_that_is_not_timed(log: list[str]) -> None:
    clock = cuda_clock.CudaClock("cuda:1")
    clock.behind_delay(lambda: None, (), 1, 1e-3)  # calibrates the delay
    log.clear()
    block = clock.behind_delay(lambda: log.append("call"), (), 2, 1.0)
    assert log == ["synchronize", *HOLD, "record", "call", "call", "record", *WAIT]
    assert block is not None
    assert block.seconds == pytest.approx(3e-3)


def test_a_call_that_takes_as_long_to_launch_as_the_delay_waits_for_the_device(log: list[str]) -> None:
    clock = cuda_clock.CudaClock("cuda:1")
    assert clock.behind_delay(lambda: time.sleep(0.02), (), 1, 1e-4) is None
    assert "sleep" in log


def test_the_delay_lasts_longer_than_launching(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cycles: list[int] = []
    clock = cuda_clock.CudaClock("cuda:1")
    monkeypatch.setattr(cuda_clock, "seconds_per_cycle", lambda _: 1e-9)
    monkeypatch.setattr(cuda_clock, "sleep", lambda _, number: cycles.append(number))
    clock.behind_delay(lambda: None, (), 10, 1e-4)
    clock.behind_delay(lambda: None, (), 1, 1e-9)
    clock.behind_delay(lambda: None, (), 1, 9.0)
    assert cycles[0] >= 1e6
    assert cycles[1] >= 1e4  # never nothing at all
    assert cycles[2] == pytest.approx(1e9 * cuda_clock.MAX_DELAY)  # nor for ever
    assert "sleep" not in log


def test_cold_calls_on_cuda_each_come_after_an_untimed_flush_of_the_l2(log: list[str]) -> None:
    clock = cuda_clock.CudaClock("cuda:1")
    clock.cold(lambda: None, (), 1)
    log.clear()
    block = clock.cold(lambda: log.append("call"), (), 2, lambda: log.append("after"))
    assert log == [
        *("synchronize", "flush", *HOLD, "record", "call", "record"),
        *("flush", *HOLD, "record", "call", "after", "record", *WAIT),
    ]
    assert block.seconds == pytest.approx(3e-3)


def test_the_delay_of_a_cold_block_is_the_cases_own(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    monkeypatch.setattr(cuda_clock, "seconds_per_cycle", lambda _: 1e-9)
    monkeypatch.setattr(cuda_clock, "sleep", lambda _, cycles: delays.append(cycles * 1e-9))
    clock = device_of("cuda:1").clock()

    def run(call: Callable[[], None]) -> TimedCase:
        case = Case("s", "s", "w", "", (), "w", True, "cuda:1", "eager", "fp32")
        context = SimpleNamespace(meter=SimpleNamespace(paused=False))
        prepared: Any = SimpleNamespace(case=case, call=call, args=(), context=context, own_state=OwnState())
        return TimedCase(prepared, clock, cold=True)

    slow, quick = run(lambda: time.sleep(1e-3)), run(lambda: None)
    for one in (slow, quick):
        one.calls = 2
    for _ in range(2):
        slow.block()
        quick.block()
    assert delays[:4] == [cuda_clock.MIN_DELAY] * 4  # nothing is known of either
    assert min(delays[4:6]) >= 1.5e-3  # each as long as launching the slow one took
    assert max(delays[6:]) < 1e-3  # and not behind the quick one, whose turn comes after it
    assert "call" not in log


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_device_time_covers_the_work_on_a_real_gpu() -> None:
    clock = device_of("cuda").clock()
    a = torch.randn(4096, 4096, device="cuda")
    clock.block(torch.mm, (a, a), 3)
    block = clock.block(torch.mm, (a, a), 10)
    assert block.host < block.seconds <= block.wall
