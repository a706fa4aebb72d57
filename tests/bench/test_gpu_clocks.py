"""Locked clocks: at what, and unlocked again whatever happens to the process that has locked them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tests.bench.nvml_fake import WHOLE, Nvml, error
from tests.bench.test_machine import CPU_ONLY, HOPPER, with_gpus
from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.host.gpu_clocks.locking import BASE, ClockError, lock
from torchduet.bench.host.gpu_clocks.state import header, unlocked_words
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.nvml import Device
from torchduet.bench.plan.options import parse, parse_clocks
from torchduet.bench.plugin import gpu_clocks

MODULES = Path(__file__).parent / "nvml_in_a_file"
RUN = """
import os, pynvml, signal, sys, time
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has made it ignore
from torchduet.bench.host.gpu_clocks.locking import lock
locked = lock({"cuda:0": "aaaa", "cuda:1": "bbbb"}, 1410, pynvml)
print(locked._ending._process.pid, flush=True)
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(30)  # holds the other end of the guard's input
    os._exit(0)
if "raise" in sys.argv:
    raise RuntimeError("a worker crashed")
if "end" in sys.argv:
    sys.exit(locked.unlock() or 0)
time.sleep(60)
"""
UNLOCKED = {"GPU-aaaa": None, "GPU-bbbb": None}
LOCKED = {"GPU-aaaa": [1410, 1410], "GPU-bbbb": [1410, 1410]}


class Gpus:
    """Two GPUs in a file, and processes that lock their clocks."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "gpus.json"
        self.file.write_text(json.dumps(UNLOCKED))
        self.started: list[subprocess.Popen[str]] = []

    def clocks(self) -> Any:
        return json.loads(self.file.read_text())

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(MODULES), *filter(None, [os.environ.get("PYTHONPATH")])])
        run = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            env=os.environ | {"PYTHONPATH": path, "FAKE_NVML": str(self.file)} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(run)
        return run

    def await_unlocked(self) -> None:
        until = monotonic() + 30
        while self.clocks() != UNLOCKED and monotonic() < until:
            sleep(0.02)
        assert self.clocks() == UNLOCKED


@pytest.fixture
def gpus(tmp_path: Path) -> Iterator[Gpus]:
    made = Gpus(tmp_path)
    yield made
    for run in made.started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


def pid_of_guard(run: subprocess.Popen[str]) -> int:
    assert run.stdout is not None
    line = run.stdout.readline()
    assert line, run.communicate()[1]
    return int(line)


needs_signals = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@needs_signals
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("arguments", [(), ("fork",)], ids=["", "beside a forked process"])
def test_the_clocks_are_unlocked_when_the_process_is_killed(gpus: Gpus, name: str, arguments: Sequence[str]) -> None:
    run = gpus.start(*arguments)
    pid_of_guard(run)
    assert gpus.clocks() == LOCKED
    os.kill(run.pid, getattr(signal, name))
    gpus.await_unlocked()


@needs_signals
def test_a_signal_to_the_guard_itself_does_not_end_it(gpus: Gpus) -> None:
    run = gpus.start()
    guard = pid_of_guard(run)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guard, number)
    sleep(0.1)
    assert gpus.clocks() == LOCKED
    run.kill()
    gpus.await_unlocked()


@pytest.mark.parametrize("how", ["end", "raise"])
def test_the_clocks_are_unlocked_at_the_end_and_after_an_error(gpus: Gpus, how: str) -> None:
    run = gpus.start(how)
    _, errors = run.communicate()
    assert run.returncode == (0 if how == "end" else 1), errors
    gpus.await_unlocked()


def test_if_one_gpu_may_not_be_locked_none_is(gpus: Gpus) -> None:
    run = gpus.start("end", FAKE_NVML_DENIES="GPU-bbbb")
    _, errors = run.communicate()
    assert "may not set the clocks of cuda:1 (Insufficient Permissions)" in errors
    assert "sudo nvidia-smi -i GPU-bbbb -lgc 1410,1410" in errors
    assert gpus.clocks() == UNLOCKED


@needs_signals
def test_if_the_guard_was_killed_the_run_unlocks_them_itself(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    run = gpus.start("end")
    run.communicate()
    monkeypatch.setenv("FAKE_NVML", str(gpus.file))
    monkeypatch.syspath_prepend(str(MODULES))
    monkeypatch.delitem(sys.modules, "pynvml")
    import pynvml as of_a_file

    locked = lock({"cuda:0": "aaaa", "cuda:1": "bbbb"}, 1410, of_a_file)
    ending: Any = locked._ending
    ending._process.kill()
    ending._process.wait()
    assert gpus.clocks() == LOCKED
    assert locked.unlock() == ""
    assert gpus.clocks() == UNLOCKED
    again = lock({"cuda:0": "aaaa"}, 1410, of_a_file)
    monkeypatch.setattr("torchduet.bench.host.gpu_clocks.guard.RETRY_SECONDS", 0)
    monkeypatch.setenv("FAKE_NVML_DENIES", "GPU-aaaa")
    ending = again._ending
    ending._process.kill()
    line = again.unlock()
    assert "may still be locked (GPU-aaaa: Insufficient Permissions)" in line
    assert "sudo nvidia-smi -i GPU-aaaa -rgc" in line


class NoGuard:
    """Unlocks nothing: NVML is a fake in this process."""

    def __init__(self, uuids: Sequence[str], _: Any) -> None:
        self.uuids, self.ended = [*uuids], 0

    def end(self) -> str:
        self.ended += 1
        return ""


def lockable(**answers: Any) -> Nvml:
    nvml = Nvml(
        nvmlDeviceSetGpuLockedClocks=None,
        nvmlDeviceGetSupportedMemoryClocks=[1593, 2619],
        nvmlDeviceGetSupportedGraphicsClocks=[1980, 1755, 1410, 1395, 210],
    )
    nvml.answers |= answers
    return nvml


def set_clocks(nvml: Nvml) -> list[Any]:
    return [arguments for name, arguments in nvml.asked if name == "nvmlDeviceSetGpuLockedClocks"]


def test_the_base_clock_is_the_one_that_the_gpu_can_hold_at_its_power_limit() -> None:
    nvml = lockable()
    locked = lock({"cuda:0": "aaaa"}, BASE, nvml, NoGuard)
    assert set_clocks(nvml) == [(WHOLE, pynvml.NVML_CLOCK_LIMIT_ID_TDP, pynvml.NVML_CLOCK_LIMIT_ID_TDP)]
    assert locked.words == {"cuda:0": "the base clock"}


def test_a_frequency_is_one_that_the_gpu_supports_at_its_highest_memory_clock() -> None:
    nvml = lockable()
    assert lock({"cuda:0": "aaaa"}, 1410, nvml, NoGuard).words == {"cuda:0": "1,410 MHz"}
    assert ("nvmlDeviceGetSupportedGraphicsClocks", (WHOLE, 2619)) in nvml.asked
    assert set_clocks(nvml) == [(WHOLE, 1410, 1410)]
    for mhz, nearest in ((1400, "1,395 and 1,410"), (3000, "1,980"), (100, "210")):
        with pytest.raises(ClockError, match=rf"--lock-clocks={mhz}: cuda:0 supports .*; the nearest: {nearest}$"):
            lock({"cuda:0": "aaaa"}, mhz, nvml, NoGuard)
    assert len(set_clocks(nvml)) == 1
    unlisted = lockable(nvmlDeviceGetSupportedMemoryClocks=error(pynvml.NVML_ERROR_NOT_SUPPORTED))
    assert lock({"cuda:0": "aaaa"}, 1400, unlisted, NoGuard).words == {"cuda:0": "1,400 MHz"}


@pytest.mark.parametrize(
    ("uuids", "frequency", "answers", "says"),
    [
        ({}, BASE, {}, "no CUDA GPU is measured"),
        ({"cuda:0": "bbbb"}, BASE, {}, "cuda:0 is a slice"),
        ({"cuda:0": "aaaa"}, BASE, {"nvmlDeviceGetMigMode": [1, 1]}, "cuda:0 is in MIG mode"),
        ({"cuda:0": "cccc"}, BASE, {}, "does not know the GPU cccc"),
        (
            {"cuda:0": "aaaa"},
            BASE,
            {"nvmlInit": error(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)},
            "cuda:0 cannot be set: NVML cannot be used: Driver Not Loaded",
        ),
        (
            {"cuda:0": "aaaa"},
            1410,
            {"nvmlDeviceSetGpuLockedClocks": error(pynvml.NVML_ERROR_NO_PERMISSION)},
            "run as root, or .* sudo nvidia-smi -i GPU-aaaa -lgc 1410,1410",
        ),
        (
            {"cuda:0": "aaaa"},
            BASE,
            {"nvmlDeviceSetGpuLockedClocks": error(pynvml.NVML_ERROR_INVALID_ARGUMENT)},
            "has no base clock that can be set .*give a frequency",
        ),
        (
            {"cuda:0": "aaaa"},
            1410,
            {"nvmlDeviceSetGpuLockedClocks": error(pynvml.NVML_ERROR_NOT_SUPPORTED)},
            r"cannot be locked \(Not Supported\): leave the option out",
        ),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    uuids: dict[str, str], frequency: Any, answers: dict[str, Any], says: str
) -> None:
    guards: list[NoGuard] = []

    def guarding(of_gpus: Sequence[str], nvml: Any) -> NoGuard:
        guards.append(NoGuard(of_gpus, nvml))
        return guards[-1]

    with pytest.raises(ClockError, match=says) as refused:
        lock(uuids, frequency, lockable(**answers), guarding)
    assert str(refused.value).startswith("--lock-clocks: ")
    assert "\n" not in str(refused.value)
    assert all(one.ended == 1 for one in guards)


def test_the_option_takes_nothing_or_a_number_of_mhz() -> None:
    assert parse_clocks(None) is None
    assert parse_clocks("base") == BASE
    assert parse_clocks("1410") == 1410
    for wrong in ("", "bench/", "1410,1410", "-5", "0", "1.4GHz", "٣٣"):
        with pytest.raises(OptionError, match="--lock-clocks"):
            parse_clocks(wrong)
    assert parse(tier="quick", suite=None, data=None, threads=None, budget=None).lock_clocks is None


def test_the_state_of_the_clocks_is_said_as_far_as_it_is_known() -> None:
    assert unlocked_words({}) == "not locked by this run"
    assert unlocked_words({"set_sm_mhz": 1980, "default_sm_mhz": 1980}) == "not locked by this run"
    app = unlocked_words({"set_sm_mhz": 1410, "default_sm_mhz": 1980})
    assert app == "not locked by this run; application clocks set to 1,410 MHz"
    assert header({"cuda:0": app, "cuda:1": app}) == f"GPU clocks: {app}"
    assert header({"cuda:0": "x", "cuda:1": "y"}) == "GPU clocks: cuda:0 x; cuda:1 y"


class Config:
    """The part of pytest's configuration that is used."""

    def __init__(self) -> None:
        self.cleanups: list[Any] = []
        self.lines: list[str] = []
        self.pluginmanager = SimpleNamespace(get_plugin=lambda _: SimpleNamespace(write_line=self.lines.append))

    def add_cleanup(self, function: Any) -> None:
        self.cleanups.append(function)


def measuring(clocks: Any, *, gpu: bool = True, check_only: bool = False) -> Any:
    uuids = {"cuda:0": "aaaa"} if gpu else {}
    machine = with_gpus(replace(HOPPER, uuid="aaaa")) if gpu else CPU_ONLY
    options = replace(parse(tier="quick", suite=None, data=None, threads=None, budget=None), lock_clocks=clocks)
    return SimpleNamespace(
        settings=SimpleNamespace(
            options=options,
            machine=machine,
            selecting_only=False,
            check_only=check_only,
            selection=SimpleNamespace(devices=lambda: ["cpu", "cuda"] if gpu else ["cpu"]),
        ),
        timeline=Timeline({name: Device(Nvml(), WHOLE, WHOLE) for name in uuids}),
    )


def test_a_run_locks_them_before_it_measures_says_so_and_unlocks_them_at_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guards: list[NoGuard] = []

    def locked(uuids: Any, frequency: Any, nvml: Any) -> Any:
        def guarding(of_gpus: Sequence[str], _: Any) -> NoGuard:
            guards.append(NoGuard(of_gpus, nvml))
            return guards[-1]

        return lock(uuids, frequency, nvml, guarding)

    monkeypatch.setattr(gpu_clocks, "lock", locked)
    config: Any = Config()
    of_run = measuring(1410)
    nvml = lockable()
    gpu_clocks.check(of_run, nvml)
    assert set_clocks(nvml) == []  # others may compute on it still
    assert gpu_clocks.header_lines(of_run) == [
        "torchduet: GPU clocks: to be locked at 1,410 MHz, before anything is measured"
    ]
    gpu_clocks.lock_clocks(config, of_run, nvml)
    assert set_clocks(nvml) == [(WHOLE, 1410, 1410)]
    assert config.lines == gpu_clocks.header_lines(of_run)
    assert gpu_clocks.header_lines(of_run) == ["torchduet: GPU clocks: locked at 1,410 MHz by this run"]
    of_run.timeline.sample(0.0)
    assert of_run.timeline.records()[0]["facts"]["clocks"] == "locked at 1,410 MHz by this run"
    assert guards[0].ended == 0
    for function in config.cleanups * 2:
        function()
    assert guards[0].ended == 1
    assert capsys.readouterr().err == ""
    with pytest.raises(OptionError, match="--lock-clocks: this user may not set the clocks of cuda:0"):
        gpu_clocks.lock_clocks(
            config, of_run, lockable(nvmlDeviceSetGpuLockedClocks=error(pynvml.NVML_ERROR_NO_PERMISSION))
        )


def test_without_the_option_the_state_is_printed_and_nothing_is_set() -> None:
    config: Any = Config()
    for of_run in (measuring(None), measuring(BASE, check_only=True)):
        nvml = lockable()
        gpu_clocks.check(of_run, nvml)
        gpu_clocks.lock_clocks(config, of_run, nvml)
        assert set_clocks(nvml) == []
        assert gpu_clocks.header_lines(of_run) == ["torchduet: GPU clocks: not locked by this run"]
    assert gpu_clocks.header_lines(measuring(None, gpu=False)) == []
    assert config.cleanups == []


PLUGIN = """
from dataclasses import replace
from torchduet.bench.host.machine import Gpu
from torchduet.bench.plugin import start

_probed = start._machine
start._machine = lambda launcher: replace(
    _probed(launcher), gpus=(Gpu("NVIDIA H200", (9, 0), 140 << 30, triton=True, uuid="aaaa"),), no_cuda=""
)
"""


def run_of_pytest(gpus: Gpus, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """``pytest bench/ --lock-clocks`` on a machine whose GPU is pretended, of which no case is selected."""
    (folder / "pretended.py").write_text(PLUGIN)
    path = os.pathsep.join([str(folder), str(MODULES), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "bench/", "-p", "pretended", "--lock-clocks=1410"),
            *("--device", "cpu,cuda", "--case", "matmul.square[n=64] cpu eager fp32", "--threads", "1"),
            *("--budget", "20s", "--benchmark-json", str(folder / "run.json"), *arguments),
        ],
        cwd=Path(__file__).parents[2],
        env=os.environ
        | {"PYTHONPATH": path, "FAKE_NVML": str(gpus.file), "TORCHDUET_LOCK": str(folder / "lock")}
        | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    gpus.started.append(run)
    return run


def await_header(run: subprocess.Popen[str]) -> str:
    """The line on the clocks, once it is printed."""
    assert run.stdout is not None
    for line in run.stdout:
        if "GPU clocks: locked" in line:
            return line.strip()
    raise AssertionError(run.communicate())


@needs_signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_ended_by_a_signal_unlocks_the_clocks(gpus: Gpus, tmp_path: Path, name: str) -> None:
    run = run_of_pytest(gpus, tmp_path)
    assert await_header(run) == "torchduet: GPU clocks: locked at 1,410 MHz by this run"
    assert gpus.clocks() == UNLOCKED | {"GPU-aaaa": [1410, 1410]}
    os.killpg(run.pid, getattr(signal, name))
    run.communicate()
    gpus.await_unlocked()


def test_a_run_unlocks_the_clocks_before_it_ends_and_records_that_they_were_locked(gpus: Gpus, tmp_path: Path) -> None:
    run = run_of_pytest(gpus, tmp_path, "--budget", "5s")
    out, errors = run.communicate()
    assert run.returncode == 0, out + errors
    assert gpus.clocks() == UNLOCKED
    (gpu,) = json.loads((tmp_path / "run.json").read_text())["torchduet"]["gpus"]
    assert gpu["facts"]["clocks"] == "locked at 1,410 MHz by this run"


def test_a_run_that_may_not_lock_them_ends_with_one_line_before_it_measures(gpus: Gpus, tmp_path: Path) -> None:
    run = run_of_pytest(gpus, tmp_path, "--collect-only", "-q")  # which locks nothing
    assert "GPU-aaaa" not in run.communicate()[1]
    run = run_of_pytest(gpus, tmp_path, FAKE_NVML_DENIES="GPU-aaaa")
    out, errors = run.communicate()
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in errors.splitlines() if line.startswith("ERROR"))
    assert "Traceback" not in errors
    assert line.startswith(
        "ERROR: --lock-clocks: this user may not set the clocks of cuda:0 (Insufficient Permissions)"
    )
    assert "passed" not in out
