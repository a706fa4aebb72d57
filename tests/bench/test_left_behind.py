"""Whatever becomes of a workload's DataLoader workers, a run leaves no process, shared memory or folder."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

ROOT = Path(__file__).parents[2]
WORKLOADS = str(Path(__file__).parent / "workloads" / "workers.py")
SHARED_MEMORY = Path("/dev/shm")
MARK = "TORCHDUET_TEST_MARK"

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")

TIME_OUT = """
import sys
from torchduet.bench.cases.case import cases_of, group
from torchduet.bench.workers.launcher import Launcher, WorkerError
from torchduet.bench.cases.exchange import Task
from torchduet.suites.registry import load
(suite,) = load(sys.argv[1])
(family,) = [f for f in group(cases_of(sys.argv[1], suite, tier="quick", devices=["cpu"])) if "hangs" in f.name]
launcher = Launcher(silent_seconds=2)
try:
    launcher.measure(Task(family, 1.0, 1), lambda _: None)
except WorkerError as error:
    print(error)
finally:
    launcher.close()
"""


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; whether it came true."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(0.05)
    return True


class Traces:
    """What one run leaves on the machine: processes by a mark in their environment, files by comparison."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # of its own, with a short name: sockets of the workers are made below it
        self.hanging = folder / "hanging"
        self.mark = f"{MARK}={uuid.uuid4()}"
        self.shared = self._in_shared_memory()
        name, value = self.mark.split("=")
        self.environment = os.environ | {
            name: value,
            "TMPDIR": str(folder),
            "HANGING": str(self.hanging),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def _in_shared_memory(self) -> set[str]:
        return {path.name for path in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()

    def processes(self) -> list[str]:
        """Command lines of the run's processes that are alive."""
        return [line.replace("\0", " ") for line in self._read("cmdline")]

    def pids(self) -> list[int]:
        """The run's processes that are alive."""
        return [int(status.partition("\nPid:")[2].split()[0]) for status in self._read("status")]

    def commands(self) -> list[tuple[int, str]]:
        """The same with their command lines."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found.append((pid, Path(f"/proc/{pid}/cmdline").read_text()))
        return found

    def in_group(self, leader: int) -> int:
        """How many of the run's processes are alive in the process group of one of them."""
        return sum(stat.rpartition(")")[2].split()[2] == str(leader) for stat in self._read("stat"))

    def stopped(self) -> int:
        """How many of the run's processes are stopped, as by Ctrl-Z."""
        return sum("\nState:\tT" in status for status in self._read("status"))

    def _read(self, name: str) -> list[str]:
        """This file of ``/proc`` of each of the run's processes."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / name).read_text())
            except OSError:  # it ended meanwhile, or is another user's
                continue
        return found

    def none(self) -> bool:
        """Whether nothing is left."""
        self.hanging.unlink(missing_ok=True)
        return not (self.processes() or self._in_shared_memory() - self.shared or list(self.folder.iterdir()))

    def __str__(self) -> str:
        return f"{self.processes()} {self._in_shared_memory() - self.shared} {list(self.folder.iterdir())}"


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder)


def start(traces: Traces, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=traces.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def pytest_bench(traces: Traces, words: str) -> subprocess.Popen[str]:
    return start(
        traces, "-m", "pytest", "bench/", "--suite", WORKLOADS, "-k", words, "--budget", "25s", "--threads", "1"
    )


def test_after_errors_in_a_worker_and_forgotten_iterators(traces: Traces) -> None:
    output, _ = pytest_bench(traces, "raises or forgets").communicate(timeout=120)
    assert "1 failed, 1 passed" in output
    assert "item 20 is broken" in output or "Caught ValueError in DataLoader worker process" in output
    assert until(traces.none, 60), traces


@pytest.mark.parametrize("whole_group", [True, False], ids=["as a terminal sends it", "to pytest alone"])
def test_after_ctrl_c_while_a_worker_hangs(traces: Traces, whole_group: bool) -> None:
    run = pytest_bench(traces, "hangs")
    assert until(traces.hanging.exists, 120), run.communicate()[0]
    assert len(traces.processes()) >= 5  # pytest, the fork server and its tracker, the worker, two loaders
    (os.killpg if whole_group else os.kill)(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 130, output
    assert "the run ended early (stopped by SIGINT): 0 of 1 families" in output
    assert "Traceback" not in output
    assert until(traces.none, 60), traces


def test_after_the_time_out_of_a_worker_that_hangs(traces: Traces) -> None:
    output, _ = start(traces, "-c", TIME_OUT, WORKLOADS).communicate(timeout=120)
    assert "the worker reported nothing for 2 s and was killed" in output
    assert until(traces.none, 60), traces


def test_after_pytest_was_stopped_and_killed_while_a_worker_hangs(traces: Traces) -> None:
    run = pytest_bench(traces, "hangs")
    assert until(traces.hanging.exists, 120), run.communicate()[0]
    run.send_signal(signal.SIGTSTP)
    assert until(lambda: traces.stopped() >= 4, 20), traces  # pytest, the worker, two loaders
    run.kill()
    run.communicate(timeout=120)
    assert until(lambda: not traces.processes(), 20), traces
