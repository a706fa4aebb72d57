"""SIGTERM ends a real run in time, wherever it is: nothing is left, and the exit code says what has ended it."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from time import sleep

import pytest

from tests.bench.test_left_behind import WORKLOADS, Traces, until
from tests.faults.processes import ended
from tests.faults.run import SMALL, Bench
from torchduet.bench.host.run_lock import REFUSE, VARIABLE, Lock
from torchduet.bench.host.system_limits import can_fork
from torchduet.bench.workers.launcher import EndedEarlyError, Launcher, WorkerError

SECONDS = 60.0  # a run needs 10 at the most, on a machine where others compute, too
GIT = """#!/bin/sh
[ "$1" = -C ] || exit 1  # it is a plugin's
sleep 600 &
touch "$HANGING"
wait
"""
PASSES_ON = """
import os, signal, sys, threading
from torchduet.bench.plugin.against_command import ended
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.{name})).start()
print(ended([sys.executable, "-c", "import time; time.sleep(600)"]))
"""
UNDONE = """
import os, signal, sys
from pathlib import Path
from torchduet.bench.files import atomic
from torchduet.bench.host.signals import exits
atomic.os.fsync = lambda _: os.kill(os.getpid(), signal.{name})  # in the middle of writing
with exits():
    atomic.write_atomically(b"x", Path(os.environ["TMPDIR"], "page.html"))
"""


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    traces = Traces(folder)
    traces.environment[VARIABLE] = str(folder / "lock")
    yield traces
    shutil.rmtree(folder)


def assert_ended(bench: Bench, traces: Traces, name: str = "SIGTERM") -> str:
    """It ends by itself, with the exit code of its signal, and leaves nothing but its files; returns its output."""
    try:
        output, _ = bench.process.communicate(timeout=SECONDS)
    finally:
        bench.process.kill()
    assert bench.process.returncode == 128 + getattr(signal, name), output
    assert "Traceback" not in output
    (traces.folder / "lock").unlink(missing_ok=True)
    assert until(traces.none, 20), traces
    return output


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_while_it_waits_for_another_run(traces: Traces, tmp_path: Path, name: str) -> None:
    held = Lock(traces.folder / "lock")
    assert held.take(REFUSE, print) is None
    bench = Bench(traces, tmp_path / "run.json")
    assert bench.process.stdout is not None
    for line in bench.process.stdout:
        if "waiting for its end" in line:
            break
    bench.signal(getattr(signal, name))
    output = assert_ended(bench, traces, name)
    held.free()
    assert f"stopped by {name}" in output
    assert not (tmp_path / "run.json").exists()


def test_while_the_process_that_forks_workers_is_stopped(traces: Traces, tmp_path: Path) -> None:
    bench = Bench(traces, tmp_path / "run.json")

    def servers() -> list[int]:
        return [line[0] for line in traces.commands() if "forkserver" in line[1]]

    assert until(lambda: bool(servers()), SECONDS), bench.process.communicate()[0]
    for pid in servers():
        os.kill(pid, signal.SIGSTOP)
    assert bench.process.stdout is not None
    for line in bench.process.stdout:
        if line.startswith("collected"):
            break
    bench.signal(signal.SIGTERM)
    assert_ended(bench, traces)


def test_a_signal_to_the_process_group_fails_no_case_while_the_first_worker_starts(
    traces: Traces, tmp_path: Path
) -> None:
    """As `timeout` and CI services send it: the process that forks workers is ended with the run."""
    bench = Bench(traces, tmp_path / "run.json")
    assert bench.process.stdout is not None
    for line in bench.process.stdout:
        if line.startswith("collected"):
            break

    def servers() -> list[int]:
        return [line[0] for line in traces.commands() if "forkserver" in line[1]]

    assert until(lambda: bool(servers()), SECONDS)
    stopped = servers()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    sleep(2)  # until the run waits for its first worker
    os.killpg(bench.process.pid, signal.SIGTERM)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    output = assert_ended(bench, traces)
    assert "stopped by SIGTERM" in output
    assert "FAILED" not in output
    assert "has ended" not in output


@pytest.mark.parametrize(("stopped", "error"), [(True, EndedEarlyError), (False, WorkerError)])
def test_a_server_that_has_ended_after_a_stop_request_is_part_of_the_stop(
    stopped: bool, error: type[Exception]
) -> None:
    requests = list[bool]()
    launcher = Launcher(stop_requested=lambda: bool(requests))
    if not can_fork():
        pytest.skip("no process forks workers here")
    launcher.start(compiler=False)
    with launcher.servers.in_use():
        pid: int = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGSTOP)  # the worker is not started before the server ends

    def end() -> None:
        requests.extend([True] * stopped)
        os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(0.5, end)
    timer.start()
    try:
        with pytest.raises(error):
            launcher.pilots(1, 0.01)
    finally:
        timer.join()
        launcher.close()


def test_while_a_side_of_a_duet_hangs_in_its_first_call(traces: Traces, tmp_path: Path) -> None:
    sides = ("-k", "hangs", "--against-env", "SIDED=1")
    bench = Bench(traces, tmp_path / "run.json", *sides, suite=Path(WORKLOADS), budget="1m")
    assert until(traces.hanging.exists, 2 * SECONDS), bench.process.communicate()[0]
    bench.signal(signal.SIGTERM)
    assert "0 of 1 families" in assert_ended(bench, traces)


def test_while_git_hangs(traces: Traces, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(GIT)
    (programs / "git").chmod(0o755)
    traces.environment["PATH"] = f"{programs}{os.pathsep}{traces.environment['PATH']}"
    bench = Bench(traces, tmp_path / "run.json", "--against-rev", "HEAD", suite=SMALL)
    assert until(traces.hanging.exists, SECONDS), bench.process.communicate()[0]
    bench.signal(signal.SIGTERM)
    assert_ended(bench, traces)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_while_torchduet_against_measures_or_renders(traces: Traces, name: str) -> None:
    code = 128 + getattr(signal, name)
    assert ended(traces, PASSES_ON.format(name=name)) == (0, f"{code}\n")
    assert until(traces.none, 20), traces


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_report_that_is_being_written_leaves_nothing(traces: Traces, name: str) -> None:
    code = 128 + getattr(signal, name)
    assert ended(traces, UNDONE.format(name=name)) == (code, "")
    assert until(traces.none, 20), traces
