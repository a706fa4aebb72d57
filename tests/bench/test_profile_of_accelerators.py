"""What is called under the profiler on an asynchronous device: each call alone, from ready inputs to finished work."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity

from torchduet.bench.cases.exchange import Extras
from torchduet.bench.passes import profiler
from torchduet.bench.record.schema import PROFILED_CALL
from torchduet.reports.profile.trace import read

RESTORING, LAUNCHING, COMPUTING = 20.0, 1.0, 2.0  # seconds of the clock below


@dataclass
class Accelerator:
    """A device with a clock of its own, which puts work into a queue; ``log`` has what was done in which order."""

    now: float = 0.0
    queued: float = 0.0
    log: list[str] = field(default_factory=list)

    def ready(self) -> None:
        self.log.append("ready")
        self.queued += RESTORING

    def call(self) -> None:
        torch.ones(2).add_(1)
        self.log.append("call")
        self.now += LAUNCHING
        self.queued += COMPUTING

    def synchronize(self) -> None:
        self.log.append("synchronize")
        self.now, self.queued = self.now + self.queued, 0.0


def case_on(device: Accelerator, seconds: float) -> Any:
    """What is used of a timed case."""
    return SimpleNamespace(
        ready=device.ready,
        clock=SimpleNamespace(synchronize=device.synchronize),
        prepared=SimpleNamespace(call=device.call, args=()),
        device=SimpleNamespace(asynchronous=True, profiler_activities=lambda: [ProfilerActivity.CPU]),
        seconds=seconds,
        unmetered=contextlib.nullcontext,
        in_its_state=contextlib.nullcontext,
        call=lambda: (device.ready(), device.call(), device.synchronize()),
    )


@pytest.mark.parametrize("seconds", [0.05, 3.0])  # the second is a long call, with fewer steps
def test_a_call_begins_with_ready_inputs_and_ends_when_the_device_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    device = Accelerator()
    monkeypatch.setattr(profiler, "perf_counter", lambda: device.now)
    record = profiler.profiled_calls(case_on(device, seconds), tmp_path / "traces", Extras())
    assert record["plain_seconds"] == LAUNCHING + COMPUTING
    assert record["seconds"] == LAUNCHING + COMPUTING
    assert device.log == ["ready", "synchronize", "call", "synchronize"] * (len(device.log) // 4)


def test_steps_before_those_that_count_are_not_in_the_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first calls after the profiler has attached to the device are slower."""
    device = Accelerator()
    monkeypatch.setattr(profiler, "perf_counter", lambda: device.now)
    monkeypatch.setattr(profiler, "plain_calls", lambda _run, _counts: [0.01])
    record = profiler.profiled_calls(case_on(device, 0.01), tmp_path / "traces", Extras())
    trace = read(Path(record["trace"]))
    assert len(trace.calls) == record["calls"] == device.log.count("call") - profiler.WAIT - profiler.WARM_UP
    assert {call.name for call in trace.calls} == {PROFILED_CALL}
    assert profiler.WARM_UP >= 1
