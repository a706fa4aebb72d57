"""Clocks: per call, and on CUDA by events with one synchronisation after the block."""

from typing import Any

import pytest
import torch

from bench.engine import clock as clocks


def test_the_cpu_clock_counts_every_call() -> None:
    calls: list[int] = []
    block = clocks.CpuClock().block(calls.append, (1,), 250)
    assert len(calls) == 250
    assert block.seconds == block.host == block.wall > 0


class FakeEvent:
    """torch.cuda.Event as the clock uses it; the device needs 3 ms per recorded call."""

    log: list[str]
    device_time_ms = 3.0

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing

    def record(self, stream: object) -> None:
        assert stream == "stream of cuda:1"
        self.log.append("record")

    def synchronize(self) -> None:
        self.log.append("synchronize event")

    def elapsed_time(self, end: "FakeEvent") -> float:
        assert isinstance(end, FakeEvent)
        return self.device_time_ms * self.log.count("call")


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

    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: events.append("synchronize"))
    return events


def test_the_cuda_clock_synchronises_once_after_the_block(log: list[str]) -> None:
    clock = clocks.clock_for("cuda:1")
    block = clock.block(lambda: log.append("call"), (), 4)
    assert log == ["synchronize", "record", "call", "call", "call", "call", "record", "synchronize event"]
    assert block.seconds == pytest.approx(3e-3)  # per call, from milliseconds
    assert 0 < block.host <= block.wall


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_device_time_covers_the_work_on_a_real_gpu() -> None:
    clock = clocks.clock_for("cuda")
    a = torch.randn(4096, 4096, device="cuda")
    clock.block(torch.mm, (a, a), 3)
    block = clock.block(torch.mm, (a, a), 10)
    assert block.host < block.seconds <= block.wall
