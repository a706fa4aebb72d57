"""Other processes on a GPU: what is read of them, who they are, and what a run does about them before it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tests.bench.nvml_fake import SLICE, WHOLE, Nvml, error
from torchduet.bench.host.gpus import processes as listing
from torchduet.bench.host.gpus.compute_mode import compute_modes
from torchduet.bench.host.gpus.processes import comparable, own_processes, processes
from torchduet.bench.host.gpus.sampling import INTERVAL, OtherProcesses
from torchduet.bench.host.gpus.use import PERIOD, WINDOW, busy_shares, uses
from torchduet.bench.host.nvml import Device, devices
from torchduet.bench.plan.gpu_preflight import check_idle, check_usable
from torchduet.bench.plan.options import OptionError

THEIRS = 4_194_304_000  # a number that no process here can have
NAMES = {"cuda:0": "NVIDIA H200"}


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.time = 50.0

    def __call__(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


def gpu(uuid: str = WHOLE, **answers: Any) -> dict[str, Device | None]:
    (device,), _ = devices([uuid], Nvml(**answers))
    assert device is not None
    return {"cuda:0": device}


def loads(*percent: float) -> Callable[[Any], Any]:
    """NVML's utilisation: these readings one after the other, then the last one for ever."""
    left = list(percent)
    return lambda _: SimpleNamespace(gpu=left.pop(0) if len(left) > 1 else left[0], memory=0)


def process(pid: int, memory: int | None = 20 * 2**30) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def job(*percent: float, pid: int = THEIRS, **answers: Any) -> dict[str, Device | None]:
    """A GPU on which somebody's training runs."""
    found = {
        "nvmlDeviceGetComputeRunningProcesses": [process(pid)],
        "nvmlSystemGetProcessName": "/opt/py/bin/python3.12",
    }
    return gpu(nvmlDeviceGetUtilizationRates=loads(*percent), **found | answers)


def test_what_the_last_worker_did_is_no_others_use() -> None:
    clock = Clock()
    assert busy_shares(gpu(nvmlDeviceGetUtilizationRates=loads(98, 97, 40, 0)), now=clock, wait=clock.wait) == {
        "cuda:0": 0.0
    }
    assert clock.time - 50 < PERIOD


def test_a_gpu_that_stays_busy_has_its_mean_use_after_the_sample_period() -> None:
    clock = Clock()
    shares = busy_shares(gpu(nvmlDeviceGetUtilizationRates=loads(100, 60)), now=clock, wait=clock.wait)
    assert shares == pytest.approx({"cuda:0": 0.6})
    assert PERIOD + WINDOW <= clock.time - 50 < PERIOD + WINDOW + 0.2


def test_a_job_that_pauses_is_seen_where_a_while_of_idleness_is_asked_for() -> None:
    at: list[int] = []

    def bursts(_: Any) -> Any:
        at.append(0)
        return SimpleNamespace(gpu=0 if len(at) % 4 == 0 else 80, memory=0)

    clock = Clock()
    shares = busy_shares(gpu(nvmlDeviceGetUtilizationRates=bursts), 0.4, clock, clock.wait)
    assert 0.5 < shares["cuda:0"] < 0.7


@pytest.mark.parametrize("number", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_GPU_IS_LOST])
def test_nothing_is_claimed_of_a_gpu_whose_use_cannot_be_read(number: int) -> None:
    clock = Clock()
    assert busy_shares(gpu(nvmlDeviceGetUtilizationRates=error(number)), now=clock, wait=clock.wait) == {}
    assert busy_shares({"cuda:0": None}, now=clock, wait=clock.wait) == {}


def test_processes_have_names_memory_and_what_they_do() -> None:
    found = processes(
        job(
            9,
            nvmlDeviceGetComputeRunningProcesses=[process(THEIRS), process(THEIRS + 1, None)],
            nvmlDeviceGetMPSComputeRunningProcesses=error(pynvml.NVML_ERROR_NOT_SUPPORTED),
            nvmlDeviceGetGraphicsRunningProcesses=[process(THEIRS), process(THEIRS + 2)],
        )["cuda:0"]  # type: ignore[arg-type]
    )
    assert [(one.pid - THEIRS, one.name, one.computes) for one in found] == [
        (0, "python3.12", True),
        (1, "python3.12", True),
        (2, "python3.12", False),
    ]
    assert found[1].memory_bytes is None


def test_a_driver_older_than_the_library_lists_none() -> None:
    mismatch = pynvml.NVMLLibraryMismatchError("Unversioned function called")
    assert processes(gpu(nvmlDeviceGetComputeRunningProcesses=mismatch)["cuda:0"]) == ()  # type: ignore[arg-type]


def test_a_process_without_a_name_in_nvml_has_that_of_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "comparable", lambda _: True)
    (found,) = processes(gpu(nvmlDeviceGetComputeRunningProcesses=[process(os.getpid())])["cuda:0"])  # type: ignore[arg-type]
    assert found.name == Path(f"/proc/{os.getpid()}/comm").read_text().strip() != ""


@pytest.fixture
def orphan() -> Iterator[tuple[int, int]]:
    """A child that leads a session, and a process of that session whose parent has ended."""
    script = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        sys.stdout.write(f'{os.getpid()}\\n'); sys.stdout.flush(); time.sleep(60)\n"
        "    os._exit(0)\n"
        "os.wait(); sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout is not None
    yield child.pid, int(child.stdout.readline())
    os.killpg(child.pid, 9)
    child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_own_processes_are_this_one_its_descendants_and_their_sessions(orphan: tuple[int, int]) -> None:
    own = own_processes()
    assert {os.getpid(), *orphan} <= own
    assert 1 not in own or os.getpid() == 1
    assert os.getppid() not in own


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces of processes are Linux'")
@pytest.mark.parametrize(("inode", "same"), [(4026531836, True), (4026532567, False)])
def test_in_a_container_process_numbers_are_not_those_of_nvml(tmp_path: Path, inode: int, same: bool) -> None:
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(f"pid:[{inode}]")
    assert comparable(tmp_path) is same
    assert not comparable(tmp_path / "none")


def test_this_runs_own_processes_are_not_others() -> None:
    clock = Clock()
    (use,) = uses(job(90, pid=os.getpid()), NAMES, clock, clock.wait)
    assert use.processes == ()
    assert use.is_busy  # the utilisation is the evidence: nothing of this run computes now
    (use,) = uses(job(90), NAMES, clock, clock.wait)
    assert use.words() == f"cuda:0 (NVIDIA H200) is 90 % busy with other processes: python3.12 (pid {THEIRS}, 20.0 GiB)"


def checked(found: dict[str, Device | None], when_busy: str) -> tuple[list[str], list[str], float]:
    """The warnings, the lines on what is waited for, and the seconds that it took."""
    clock, lines = Clock(), list[str]()
    warnings = check_idle(found, NAMES, when_busy, lines.append, clock, clock.wait, clock)
    return warnings, lines, clock.time - 50


def test_a_busy_gpu_is_a_warning_with_go() -> None:
    (warning,), lines, _ = checked(job(83), "go")
    assert warning.startswith("cuda:0 (NVIDIA H200) is 83 % busy with other processes: python3.12 (pid ")
    assert warning.endswith("times on it are longer, and vary")
    assert lines == []


def test_a_busy_gpu_is_refused_in_one_line() -> None:
    with pytest.raises(
        OptionError, match=r"^--when-busy refuse: cuda:0 \(NVIDIA H200\) is 83 % busy .*python3\.12"
    ) as why:
        checked(job(83), "refuse")
    assert "\n" not in str(why.value)
    assert "choose another GPU" in str(why.value)


def test_a_busy_gpu_is_waited_for() -> None:
    warnings, lines, took = checked(job(*[70] * 1000, 0), "wait")
    assert warnings == []
    assert 2 <= len(lines) <= 1 + took / 30
    assert all("70 % busy" in line and line.endswith("(--when-busy go does not wait)") for line in lines)
    assert "waiting until it is idle, 2 s so far" in lines[0]
    assert "waiting until it is idle, 3" in lines[1]


@pytest.mark.parametrize("when_busy", ["wait", "go", "refuse"])
def test_an_idle_gpu_is_no_matter_of_any_line(when_busy: str) -> None:
    held = {"nvmlDeviceGetGraphicsRunningProcesses": [process(THEIRS, 2**28)]}  # a display that shows a desktop
    warnings, lines, took = checked(gpu(nvmlDeviceGetUtilizationRates=loads(0, 2, 1, 0), **held), when_busy)
    assert (warnings, lines) == ([], [])
    assert took < PERIOD


def test_a_display_that_draws_is_named_and_not_waited_for() -> None:
    held = {"nvmlDeviceGetGraphicsRunningProcesses": [process(THEIRS)], "nvmlSystemGetProcessName": "/usr/lib/Xorg"}
    (warning,), lines, took = checked(gpu(nvmlDeviceGetUtilizationRates=loads(30), **held), "wait")
    assert "30 % busy with other processes: Xorg" in warning
    assert lines == []
    assert took < 3


def test_memory_that_is_held_without_computing_is_a_hint() -> None:
    memory = SimpleNamespace(total=2**37, used=2**36, free=2**36)
    (hint,), lines, _ = checked(job(0, nvmlDeviceGetMemoryInfo=memory), "refuse")
    assert hint.startswith(
        "other processes hold 64.0 GiB of 128 GiB of the memory of cuda:0 (NVIDIA H200), but compute"
    )
    assert "--headroom" in hint
    assert lines == []


@pytest.mark.parametrize(
    ("mode", "together", "says"),
    [
        (pynvml.NVML_COMPUTEMODE_DEFAULT, 2, None),
        (pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, 1, None),
        (
            pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS,
            2,
            "cuda:0 is in compute mode EXCLUSIVE_PROCESS: .* a duet times two",
        ),
        (
            pynvml.NVML_COMPUTEMODE_PROHIBITED,
            1,
            "cuda:0 is in compute mode PROHIBITED: no process can use it; nvidia-smi",
        ),
    ],
)
def test_a_compute_mode_that_forbids_the_run_is_one_line(mode: int, together: int, says: str | None) -> None:
    found = gpu(nvmlDeviceGetComputeMode=mode)
    if says is None:
        check_usable(found, together=together)
    else:
        with pytest.raises(OptionError, match=says):
            check_usable(found, together=together)


def test_a_compute_mode_that_cannot_be_read_forbids_nothing() -> None:
    found = gpu(nvmlDeviceGetComputeMode=error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert compute_modes(found) == {}
    check_usable({**found, "cuda:1": None}, together=2)


def test_the_compute_mode_of_a_slice_is_that_of_its_gpu() -> None:
    def mode(handle: str) -> int:
        if handle == SLICE:
            raise error(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return int(pynvml.NVML_COMPUTEMODE_PROHIBITED)

    assert compute_modes(gpu(SLICE, nvmlDeviceGetComputeMode=mode)) == {"cuda:0": "PROHIBITED"}


OURS = 77


class Driver:
    """Counts the use of a GPU by each process, as NVML gives it: samples newer than a time, in microseconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.share_of, self.asked = clock, dict[int, int](), 0

    def __call__(self, _: Any, seen: int) -> Any:
        self.asked += 1
        now = round(self.clock.time * 1e6)
        if not self.share_of or now <= seen:
            raise error(pynvml.NVML_ERROR_NOT_FOUND)
        return [SimpleNamespace(pid=pid, timeStamp=now, smUtil=share) for pid, share in self.share_of.items()]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setattr("torchduet.bench.host.gpus.sampling.comparable", lambda: True)
    return Driver(clock)


def sampler(driver: Driver, clock: Clock, uuid: str = WHOLE) -> OtherProcesses:
    answers = {"nvmlDeviceGetProcessUtilization": driver}
    return OtherProcesses(gpu(uuid, **answers), lambda: {OURS}, clock, clock.wait, clock)


def sampled(others: OtherProcesses, clock: Clock, seconds: float = 6.0) -> dict[str, float]:
    """A family is timed for so long, with a sample asked for after each of many placements."""
    others.begin()
    end = clock.time + seconds
    while clock.time < end:
        others.sample()
        clock.time += 0.05
    return others.shares()


def test_others_are_counted_by_process_while_a_family_is_timed(driver: Driver, clock: Clock) -> None:
    others = sampler(driver, clock)
    driver.share_of = {OURS: 70, THEIRS: 20, THEIRS + 1: 5}
    assert sampled(others, clock) == pytest.approx({"cuda:0": 0.25})
    assert driver.asked <= 2 + 6.0 / INTERVAL
    driver.share_of = {OURS: 98}
    assert sampled(others, clock) == {"cuda:0": 0.0}
    driver.share_of = {}
    assert sampled(others, clock) == {"cuda:0": 0.0}


def test_a_worker_that_has_ended_is_no_other_process(driver: Driver, clock: Clock) -> None:
    others = sampler(driver, clock)
    driver.share_of = {THEIRS: 90}  # as the pilots' worker, whose number nothing has now
    others.begin()
    driver.share_of = {OURS: 50}
    clock.time += PERIOD + INTERVAL
    others.sample()
    assert others.shares() == {"cuda:0": 0.0}


def test_where_processes_are_not_counted_nothing_is_known(driver: Driver, clock: Clock) -> None:
    unsupported = gpu(nvmlDeviceGetProcessUtilization=error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert sampled(OtherProcesses(unsupported, lambda: {OURS}, clock, clock.wait, clock), clock) == {}
    driver.share_of = {THEIRS: 90}
    assert sampled(sampler(driver, clock, SLICE), clock) == {}  # it would be the use of the other slices, too


def test_in_a_container_processes_are_not_told_apart(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchduet.bench.host.gpus.sampling.comparable", lambda: False)
    driver = Driver(clock)
    driver.share_of = {THEIRS: 90}  # it may be our own worker, as the host numbers it
    assert sampled(sampler(driver, clock), clock) == {}
    assert driver.asked == 0
