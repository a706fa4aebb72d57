"""The SM clock by a kernel of a known number of cycles, on a stream with events faked at torch's interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch

from torchduet.bench.cases.case import Family, cases_of
from torchduet.bench.cases.exchange import Task
from torchduet.bench.cases.outcome import Measured
from torchduet.bench.record.gpu_samples import sm_clock
from torchduet.bench.record.visits.entry import VisitEntry, visit_record, with_visit
from torchduet.bench.run.records import records
from torchduet.bench.run.visiting import entries_of
from torchduet.bench.timing.clock import CpuClock
from torchduet.bench.timing.gpu.sm_clock import LEAD, LONG, MAX_PENDING, MIN_SECONDS, SHORT, SmClock
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load

DEVICE = torch.device("cuda:1")
START = 3e-6  # from the end of a kernel to the next one's first instruction, and for an event
FILE = """
import torch
from torchduet import Suite

suite = Suite("clocked", "Two functions")

def one(x):
    return x + 1

def other(x):
    return 1 + x

suite.compare("sums", {"one": one, "other": other}, inputs=lambda device: (torch.ones(8),), modes=["eager"])
"""


class Gpu:
    """A GPU that runs what is launched in order, beside a host whose launches each take some time.

    Args:
        mhz: of its SMs.
        launch: seconds that the host takes for each launch and each record of an event.
    """

    def __init__(self, mhz: float, launch: float = 2e-6) -> None:
        self.mhz, self.launch = mhz, launch
        self.host = self.device = 50.0  # seconds: when each is free
        self.slept: list[int] = []
        self.stopped = False  # nothing that was launched ends

    def now(self) -> float:
        return self.host

    def sleep(self, cycles: int) -> None:
        self.host += self.launch
        self.device = max(self.device, self.host) + START + cycles / (self.mhz * 1e6)
        self.slept.append(cycles)

    def wait(self, seconds: float) -> None:
        self.host = max(self.host, self.device) + seconds


class Event:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.at = gpu, 0.0

    def record(self, _: Any) -> None:
        self.gpu.host += self.gpu.launch
        self.at = self.gpu.device = max(self.gpu.device, self.gpu.host)

    def query(self) -> bool:
        return not self.gpu.stopped and self.gpu.host >= self.at

    def synchronize(self) -> None:
        self.gpu.host = max(self.gpu.host, self.at)

    def elapsed_time(self, other: Event) -> float:
        return round((other.at - self.at) / 0.5e-6) * 0.5e-3  # CUDA's resolution


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    gpu = Gpu(1755)

    @contextmanager
    def device(given: torch.device) -> Iterator[None]:
        assert given == DEVICE
        yield

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "_sleep", gpu.sleep)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda given: SimpleNamespace(device=given))
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event(gpu) if enable_timing else None)
    return gpu


@pytest.mark.parametrize("mhz", [345, 1410, 1755, 2620])
def test_it_is_the_clock_of_the_sms_whatever_the_start_of_a_kernel_takes(made: Gpu, mhz: float) -> None:
    made.mhz, made.launch = mhz, 1e-6
    clock = SmClock(DEVICE, now=made.now)
    for _ in range(20):
        clock.after_block()
        made.wait(0.02)
    samples = clock.read()
    assert len(samples) == 20
    assert samples == pytest.approx([mhz] * 20, rel=0.03)
    assert clock.late == 0


def test_samples_follow_the_clock_from_block_to_block(made: Gpu) -> None:
    clock = SmClock(DEVICE, now=made.now)
    for mhz in (1980, 1980, 1200):
        made.mhz = mhz
        clock.after_block()
        made.wait(0.02)
    assert clock.read() == pytest.approx([1980, 1980, 1200], rel=0.03)


def test_a_sample_that_was_launched_too_slowly_is_left_out_and_counted(made: Gpu) -> None:
    made.launch = 40e-6  # each; the host was preempted
    clock = SmClock(DEVICE, now=made.now)
    clock.after_block()
    made.wait(0.02)
    assert clock.read() == []
    assert clock.late == 1


def test_it_takes_about_a_hundredth_of_the_time_and_waits_for_nothing(made: Gpu) -> None:
    clock = SmClock(DEVICE, now=made.now)
    for _ in range(1000):  # blocks of 0.3 ms
        clock.after_block()
        made.wait(3e-4)
    assert sum(made.slept) / (made.mhz * 1e6) < 0.015 * 1000 * 3e-4
    assert len(clock.read()) >= 1000 * 3e-4 / MIN_SECONDS / 2
    assert set(made.slept) == {LEAD, SHORT, LONG}
    made.stopped = True
    made.slept.clear()
    for _ in range(3 * MAX_PENDING):
        clock.after_block()
        made.host += MIN_SECONDS
    assert len(made.slept) == 3 * MAX_PENDING  # no more is launched while none has ended


def test_pytorch_for_rocm_counts_another_clock(made: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    clock = SmClock(DEVICE, now=made.now)
    clock.after_block()
    assert (clock.read(), made.slept) == ([], [])


def test_a_visits_record_has_the_range() -> None:
    assert sm_clock([]) is None
    assert visit_record(1.5, 8, None) == {"at": 1.5, "placements": 8}
    assert visit_record(1.5, 8, None, sm_clock([1755.04, 1200.0, 1980.0]))["sm_mhz"] == {
        "low": 1200.0,
        "median": 1755.0,
        "high": 1980.0,
        "samples": 3,
    }


def test_the_samples_of_a_visit_are_in_the_record_and_later_visits_add_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = iter([[1755.0, 1740.0], [], [1980.0]])
    monkeypatch.setattr(CpuClock, "sm_clock", SimpleNamespace(read=lambda: next(samples)), raising=False)
    path = tmp_path / "clocked.py"
    path.write_text(FILE)
    (suite,) = load(str(path))
    family = Family(*(tuple(case for case, _ in cases_of(str(path), suite, tier="quick", devices=["cpu"])),) * 2)
    result = measure(Task(family, 0.2, 1, str(tmp_path)), lambda *_: None)
    first, second = family.cases
    outcomes = records(family, result, suite.workloads["sums"], at=2.0)
    record = outcomes[first]
    assert isinstance(record, Measured)
    (visit,) = record.record["timing"]["visits"]
    assert visit["sm_mhz"] == {"low": 1740.0, "median": 1748.0, "high": 1755.0, "samples": 2}
    without = outcomes[second]
    assert isinstance(without, Measured)
    assert "sm_mhz" not in without.record["timing"]["visits"][0]
    result.results[0].sm_mhz = next(samples)
    entry = entries_of(family, result)[first]
    sent = msgspec.json.decode(msgspec.json.encode(entry), type=VisitEntry)
    visits = with_visit(record.record, sent, 9.0)["timing"]["visits"]
    assert [one["sm_mhz"]["high"] for one in visits] == [1755.0, 1980.0]
