"""Whose work a GPU does, where the driver's counts are odd, and what is done where nobody can tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tests.bench.nvml_fake import WHOLE, error
from tests.bench.test_gpu_use import OURS, THEIRS, Clock, checked, gpu, loads, process, sampled
from torchduet.bench.host.gpus import sampling
from torchduet.bench.host.gpus.mps import uses_mps
from torchduet.bench.host.gpus.processes import note_started, own_processes
from torchduet.bench.host.gpus.sampling import OtherProcesses
from torchduet.bench.plan.gpu_preflight import UNKNOWN_SECONDS, check_usable
from torchduet.bench.plan.options import OptionError
from torchduet.bench.workers.launcher import Launcher

DEAD = THEIRS + 9  # the last worker, which nothing in /proc has any more


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def numbered_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML's process numbers are those that this process sees; no variable of MPS is set."""
    monkeypatch.setattr(sampling, "comparable", lambda: True)
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)


def sampler(answer: Callable[[Any, int], Any], clock: Clock, **answers: Any) -> OtherProcesses:
    found = gpu(WHOLE, nvmlDeviceGetProcessUtilization=answer, **answers)
    return OtherProcesses(found, lambda: {OURS}, clock, clock.wait, clock)


def entry(pid: int, at: float, share: int) -> Any:
    """A sample of the driver's, ``at`` seconds."""
    return SimpleNamespace(pid=pid, timeStamp=round(at * 1e6), smUtil=share)


@dataclass
class Buffered:
    """A driver that takes a sample each period, keeps them, and gives each process' mean since a time."""

    clock: Clock
    period: float
    phase: float
    busy: dict[int, tuple[float, float]]  # process → from when to when it computes

    def __call__(self, _: Any, seen: int) -> list[Any]:
        at, new = 45.0 + self.phase, dict[int, list[Any]]()
        while at <= self.clock.time:
            for pid, (first, last) in self.busy.items():
                share = (min(at, last) - max(at - self.period, first)) / self.period
                if share > 0 and round(at * 1e6) > seen:
                    new.setdefault(pid, []).append(entry(pid, at, round(95 * share)))
            at += self.period
        if not new:
            raise error(pynvml.NVML_ERROR_NOT_FOUND)
        means = {pid: round(sum(one.smUtil for one in of) / len(of)) for pid, of in new.items()}
        return [entry(pid, new[pid][-1].timeStamp / 1e6, mean) for pid, mean in means.items()]


@pytest.mark.parametrize("period", [1 / 6, 0.5, 1.0])
@pytest.mark.parametrize("phase", [0.01, 0.07, 0.13, 0.3, 0.7])
def test_no_sample_of_the_last_worker_counts_as_another_process(clock: Clock, period: float, phase: float) -> None:
    begun = clock.time
    driver = Buffered(clock, period, phase, {DEAD: (0.0, begun - 0.05), OURS: (begun + 0.6, 1e9)})
    assert sampled(sampler(driver, clock), clock, 4.0) == {"cuda:0": 0.0}
    driver.busy[THEIRS] = (0.0, 1e9)
    assert sampled(sampler(driver, clock), clock, 4.0)["cuda:0"] == pytest.approx(0.95)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_stays_this_runs_own_after_its_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    note_started(child.pid)
    child.wait()
    assert child.pid in own_processes()


def test_the_launcher_notes_each_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[int] = []
    monkeypatch.setattr("torchduet.bench.workers.launcher.note_started", noted.append)
    launcher = Launcher()
    try:
        launcher.machine(own_process=True)
    finally:
        launcher.close()
    assert len(noted) == 1
    assert noted[0] != os.getpid()


GARBAGE = {
    "a load beyond all": lambda now: entry(50554, now, 37100),
    "a load of 2^31": lambda now: entry(50554, now, 2147483632),
    "a time long ago": lambda _: SimpleNamespace(pid=50021, timeStamp=1, smUtil=80),
    "a time far ahead": lambda _: SimpleNamespace(pid=50021, timeStamp=2**63, smUtil=3),
    "no process": lambda now: entry(0, now, 30),
}


@pytest.mark.parametrize("odd", GARBAGE.values(), ids=GARBAGE)
def test_entries_that_cannot_be_true_are_left_out(clock: Clock, odd: Callable[[float], Any]) -> None:
    alone = sampler(lambda *_: [entry(OURS, clock.time, 90), odd(clock.time)], clock)
    assert sampled(alone, clock) == {"cuda:0": 0.0}
    beside = sampler(lambda *_: [odd(clock.time), entry(OURS, clock.time, 60), entry(THEIRS, clock.time, 40)], clock)
    assert sampled(beside, clock) == pytest.approx({"cuda:0": 0.4})


def test_nothing_is_known_from_entries_none_of_which_can_be_true(clock: Clock) -> None:
    assert sampled(sampler(lambda *_: [entry(50554, clock.time, 37100)], clock), clock) == {}


def test_one_entry_from_far_ahead_hides_none_of_those_that_follow(clock: Clock) -> None:
    calls: list[int] = []

    def driver(_: Any, seen: int) -> list[Any]:
        calls.append(seen)
        ahead = [SimpleNamespace(pid=7, timeStamp=2**63, smUtil=3)] if len(calls) == 1 else []
        return [sample for sample in [entry(THEIRS, clock.time, 80), *ahead] if sample.timeStamp > seen]

    assert sampled(sampler(driver, clock), clock) == pytest.approx({"cuda:0": 0.8})


@pytest.mark.parametrize(
    "number",
    [
        pynvml.NVML_SUCCESS,  # pynvml raises it where there are no entries
        pynvml.NVML_ERROR_NOT_FOUND,
        pynvml.NVML_ERROR_INSUFFICIENT_SIZE,  # a process has begun between its two calls
        pynvml.NVML_ERROR_TIMEOUT,
    ],
)
def test_an_error_that_passes_ends_no_counting(clock: Clock, number: int) -> None:
    calls: list[int] = []

    def driver(_: Any, seen: int) -> list[Any]:
        calls.append(seen)
        if len(calls) == 1:
            raise error(number)
        return [entry(THEIRS, clock.time, 80)]

    assert sampled(sampler(driver, clock), clock) == pytest.approx({"cuda:0": 0.8})


@pytest.mark.parametrize("number", [pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND])
def test_no_entries_for_longer_than_a_sample_covers_are_an_idle_gpu(clock: Clock, number: int) -> None:
    def driver(*_: Any) -> list[Any]:
        raise error(number)

    assert sampled(sampler(driver, clock), clock) == {"cuda:0": 0.0}


@pytest.mark.parametrize("number", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION])
def test_a_gpu_whose_processes_cannot_be_counted_is_asked_once(clock: Clock, number: int) -> None:
    calls: list[int] = []

    def driver(_: Any, seen: int) -> list[Any]:
        calls.append(seen)
        raise error(number)

    assert sampled(sampler(driver, clock), clock) == {}
    assert len(calls) == 1


PROGRAMS = {
    THEIRS: "/usr/lib/xorg/Xorg",
    THEIRS + 1: "/usr/local/bin/ollama",
    THEIRS + 2: "/usr/lib/firefox/firefox",
    THEIRS + 3: "nvidia-cuda-mps-server",
}
XORG, OLLAMA, FIREFOX, SERVER = PROGRAMS


def used(percent: float, computing: list[int], drawing: list[int], shares: dict[int, int] | None) -> Any:
    """A GPU that these processes use; ``shares`` in percent, None: the driver does not tell."""

    def counted(_: Any, seen: int) -> list[Any]:
        if shares is None:
            raise error(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [SimpleNamespace(pid=pid, timeStamp=seen + 1, smUtil=share) for pid, share in shares.items()]

    return gpu(
        nvmlDeviceGetUtilizationRates=loads(percent),
        nvmlDeviceGetComputeRunningProcesses=[process(pid) for pid in computing],
        nvmlDeviceGetGraphicsRunningProcesses=[process(pid) for pid in drawing],
        nvmlSystemGetProcessName=PROGRAMS.__getitem__,
        nvmlDeviceGetProcessUtilization=counted,
    )


@pytest.mark.parametrize("when_busy", ["wait", "refuse", "go"])
@pytest.mark.parametrize(
    ("computing", "drawing", "shares"),
    [
        ([], [XORG], None),
        ([], [XORG], {XORG: 8}),
        ([OLLAMA], [XORG], {XORG: 8}),  # a language model's server that waits for a question
        ([OLLAMA], [XORG], {XORG: 8, OLLAMA: 1}),
    ],
)
def test_a_display_is_warned_of_and_neither_waited_for_nor_refused(
    when_busy: str, computing: list[int], drawing: list[int], shares: dict[int, int] | None
) -> None:
    (warning,), lines, took = checked(used(8, computing, drawing, shares), when_busy)
    assert "8 % busy with other processes" in warning
    if shares or not computing:
        assert "Xorg" in warning
    assert lines == []
    assert took < UNKNOWN_SECONDS / 4


@pytest.mark.parametrize(
    ("computing", "drawing", "shares"),
    [
        ([], [], None),  # WSL, or a container: no process is listed
        ([], [], {40: 8}),  # a container: numbers of the host
        ([OLLAMA], [XORG], None),
        ([FIREFOX], [XORG, FIREFOX], {FIREFOX: 8}),  # a browser computes and draws, and does not end
    ],
)
def test_where_nobody_can_tell_what_uses_a_gpu_the_wait_is_short(
    computing: list[int], drawing: list[int], shares: dict[int, int] | None
) -> None:
    (warning,), lines, took = checked(used(8, computing, drawing, shares), "wait")
    assert "8 % busy with other processes" in warning
    assert UNKNOWN_SECONDS <= took < 1.2 * UNKNOWN_SECONDS
    assert "at most 1 min" in lines[0]
    with pytest.raises(OptionError, match="--when-busy refuse"):
        checked(used(8, computing, drawing, shares), "refuse")


@pytest.mark.parametrize("shares", [None, {OLLAMA: 70}, {XORG: 6, OLLAMA: 70}])
def test_a_job_that_computes_is_waited_for_as_long_as_it_takes(shares: dict[int, int] | None) -> None:
    drawing = [] if shares is None else [XORG]
    found = used(70, [OLLAMA], drawing, shares)
    device = found["cuda:0"]
    device.nvml.answers["nvmlDeviceGetUtilizationRates"] = loads(*[70] * 6000, 0)
    warnings, lines, took = checked(found, "wait")
    assert warnings == []
    assert took > 3 * UNKNOWN_SECONDS
    assert all("ollama" in line and "at most" not in line for line in lines)


def test_a_first_reading_that_is_high_refuses_nothing() -> None:
    scrubbing = gpu(nvmlDeviceGetUtilizationRates=loads(*[100] * 34, 0))
    warnings, _, took = checked(scrubbing, "refuse")
    assert warnings == []
    assert took > 2


@pytest.mark.parametrize("how", ["listed", "variable"])
def test_through_mps_a_gpu_for_one_process_is_used_by_two(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exclusive: dict[str, Any] = {"nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS}
    with pytest.raises(OptionError, match="EXCLUSIVE_PROCESS"):
        check_usable(gpu(**exclusive), together=2)
    if how == "variable":
        monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")
    else:
        exclusive |= {"nvmlDeviceGetComputeRunningProcesses": [process(SERVER)]}
        exclusive |= {"nvmlSystemGetProcessName": PROGRAMS.__getitem__}
    found = gpu(**exclusive)
    check_usable(found, together=2)
    assert uses_mps(found["cuda:0"])  # type: ignore[arg-type]


def test_what_mps_clients_compute_is_booked_to_their_server_and_not_counted(clock: Clock) -> None:
    def driver(*_: Any) -> list[Any]:
        return [entry(SERVER, clock.time, 90)]

    listed = {"nvmlDeviceGetComputeRunningProcesses": [process(SERVER)], "nvmlSystemGetProcessName": PROGRAMS.get}
    assert sampled(sampler(driver, clock, **listed), clock) == {}
    assert sampled(sampler(driver, clock), clock) == pytest.approx({"cuda:0": 0.9})
