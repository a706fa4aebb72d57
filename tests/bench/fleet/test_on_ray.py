"""``torchduet fleet`` on real nodes of Ray on this machine: one is killed, one joins, the driver is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.fleet.actor import environment_of_node
from torchduet.bench.fleet.journal import FleetJournal
from torchduet.bench.record.journal import JournalError
from torchduet.suites.extras import install

ROOT = Path(__file__).parents[3]
MANY = ROOT / "tests" / "faults" / "workloads" / "many.py"
FAMILIES = 6
SECONDS = 240.0  # within which something has to happen, on a machine that others use, too


class Cluster:
    """Nodes of Ray; families of the suite are measured up to the number in ``limit``."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.limit = folder / "limit"
        self.let(0)
        environment = {
            **os.environ,
            "TORCHDUET_TEST_FAMILIES": str(FAMILIES),
            "TORCHDUET_TEST_LIMIT": str(self.limit),
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/bench/fleet/local_cluster.py"), str(nodes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.address, self.nodes = self._line(), nodes

    def let(self, number: int) -> None:
        """Let families up to this number be measured."""
        partial = self.limit.with_suffix(".new")
        partial.write_text(str(number))
        partial.replace(self.limit)

    def tell(self, order: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        assert self._line() == "done"
        self.nodes += (order == "add") - order.startswith("kill")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, "the cluster has ended"
        return line


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'torchduet[fleet]'")
    made = Cluster(tmp_path_factory.mktemp("cluster"), 2)
    yield made
    made.close()


class Run:
    """``torchduet fleet`` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder / "fleet"
        self._errors = folder / "stderr"
        command = [sys.executable, "-m", "torchduet", "fleet", "-o", str(self.folder), *arguments]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder)

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def families(self) -> list[str]:
        """The families in its journal so far."""
        with contextlib.suppress(OSError, JournalError):
            entries = (json.loads(line) for line in (self.folder / "fleet.journal").read_bytes().splitlines())
            inner = [line["entry"]["entry"] for line in entries if line["entry"].get("kind") == "entry"]
            return [entry["name"] for entry in inner if entry["kind"] == "family"]
        return []

    def end(self) -> int:
        self.printed, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode


def arguments(cluster: Cluster) -> list[str]:
    """Both nodes are on one machine: each would wait for the other's end without ``--when-busy go``."""
    own = ["--address", cluster.address, "--split", "--when-busy", "go", "--suite", str(MANY)]
    return [*own, "--budget", "10m", "--threads", "1"]  # it waits for the test, too; the visits take seconds


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def cases(path: Path) -> list[str]:
    """The ids of the cases in a run's file."""
    read: Any = json.loads(path.read_bytes())
    return [benchmark["extra_info"]["torchduet"]["case"]["id"] for benchmark in read["benchmarks"]]


ALL = [f"many.add[n={number}] cpu eager fp32" for number in range(1, FAMILIES + 1)]


def test_a_node_is_killed_another_joins_and_all_families_are_measured_once(cluster: Cluster, tmp_path: Path) -> None:
    cluster.let(2)
    run = Run(tmp_path, *arguments(cluster))
    until(lambda: len(run.families()) == 2)
    cluster.tell("kill 0")
    until(lambda: "is queued again" in run.errors)
    cluster.tell("add")  # on the same machine: what the lost node had measured is continued
    until(lambda: ", continued\n" in run.errors)
    cluster.tell("add")
    until(lambda: run.errors.count(" · 1 thread") == 4)
    cluster.let(FAMILIES)
    assert run.end() == 0, run.errors
    assert "takes no part" not in run.errors
    assert "raylet" not in run.printed + run.errors, "what Ray logs of a lost node is not printed"
    assert sorted(cases(run.folder / "merged.json")) == ALL
    answer, *_, page, merged = run.printed.splitlines()
    assert answer.startswith(f"{FAMILIES} cases take ")
    assert [page, merged] == [str(run.folder / "report.html"), str(run.folder / "merged.json")]
    files = sorted((run.folder / "machines").iterdir())
    assert len(files) == 3
    assert sorted(case for path in files for case in cases(path)) == ALL
    assert (run.folder / "report.html").exists()
    assert not (run.folder / "fleet.journal").exists()


def test_a_head_that_measures_nothing_is_not_enough_and_the_first_line_says_what_is(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'torchduet[fleet]'")
    head = Cluster(tmp_path, 0)
    try:
        run = Run(tmp_path, "--address", head.address, "--wait", "2s")
        assert run.end() == 2
        first, last = run.errors.splitlines()
        why = f"(--wait): the cluster has no machine with CPUs: ray start --address {head.address} on another machine"
        assert first.startswith("torchduet: waiting for a machine, at most ")
        assert first.endswith(why)
        assert last == f"error: no machine took part within 2 s {why}"
        assert not run.folder.exists()
    finally:
        head.close()


def test_a_killed_driver_leaves_nothing_running_and_is_continued(cluster: Cluster, tmp_path: Path) -> None:
    cluster.let(2)
    run = Run(tmp_path, *arguments(cluster))
    until(lambda: len(run.families()) == 2)
    run.process.kill()
    run.process.wait()
    until(lambda: not measuring())
    before = run.families()
    journal = FleetJournal.reopen(run.folder / "fleet.journal")
    assert len(journal.logs) == cluster.nodes
    journal.close()
    cluster.let(FAMILIES)
    again = Run(tmp_path, *arguments(cluster))
    assert again.end() == 2
    assert "give --resume" in again.errors
    again = Run(tmp_path, *arguments(cluster), "--resume")
    assert again.end() == 0, again.errors
    assert "resumed from" in again.errors
    assert "continued" in again.errors
    assert sorted(cases(again.folder / "merged.json")) == ALL
    files = list((again.folder / "machines").iterdir())
    assert sorted(case for path in files for case in cases(path)) == ALL, "nothing is measured twice"
    resumed = [json.loads(path.read_bytes())["torchduet"].get("resumed") for path in files]
    assert sum(len(entries[0:1]) and entries[0]["families"] for entries in resumed if entries) == len(before)


def measuring() -> list[int]:
    """The processes that measure for a fleet."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"torchduet.bench.fleet.node" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def test_ctrl_c_writes_what_there_is_and_says_how_to_go_on(cluster: Cluster, tmp_path: Path) -> None:
    cluster.let(2)
    run = Run(tmp_path, *arguments(cluster))
    until(lambda: len(run.families()) == 2)
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130, run.errors
    assert sorted(cases(run.folder / "merged.json")) == ALL[:2]
    assert "give the same options and --resume" in run.errors
    assert "4 of 6 families are not measured" in run.errors
    until(lambda: not measuring())


def test_reserved_cpus_are_refused_if_that_is_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    cluster.tell("occupy")
    try:
        run = Run(tmp_path, "--address", cluster.address, "--when-busy", "refuse", "--suite", str(MANY))
        assert run.end() == 2
        assert "error: --when-busy refuse: others have reserved CPUs or GPUs of" in run.errors
        assert not run.folder.exists()
    finally:
        cluster.tell("free")


def test_a_file_that_cannot_be_used_is_one_line(cluster: Cluster, tmp_path: Path) -> None:
    suite = tmp_path / "suite.py"
    suite.write_text(f"raise ValueError('not today')  # {tmp_path}\n")
    run = Run(tmp_path, "--address", cluster.address, "--when-busy", "go", "--suite", str(suite))
    assert run.end() == 2
    (line,) = (line for line in run.errors.splitlines() if line.startswith("error:"))
    assert "not today" in line
    assert not run.folder.exists()
    sent = Path(tempfile.gettempdir()).glob("torchduet-*/files/suite.py")
    assert all(str(tmp_path) not in path.read_text() for path in sent), "the machine's copy is removed"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--address", "127.0.0.1:1"), "--address 127.0.0.1:1: nothing answers there"),
        (("--address", "nowhere"), "--address nowhere: use auto, or HOST:PORT"),
        (("--address", "ray://127.0.0.1:10001"), "--address ray://127.0.0.1:10001: Ray's client is not supported"),
        (("--budget", "soon"), "--budget 'soon': use a time"),
        (("--when-busy", "perhaps"), "--when-busy 'perhaps': choose"),
        (("--suite", "absent.py"), "--suite absent.py: there is no such file"),
        (("--wait", "0s"), "--wait '0s': must be longer"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, given: tuple[str, ...], says: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'torchduet[fleet]'")
    run = Run(tmp_path, *given)
    assert run.end() == 2
    assert run.errors.startswith(f"error: {says}"), run.errors
    assert run.errors.count("\n") == 1
    assert not run.folder.exists()


def test_without_ray_it_says_how_to_install_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None; from torchduet.__main__ import main; "
        "sys.exit(main(['fleet', '-o', 'fleet']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (
        2,
        f"error: the command fleet needs Ray: {install('fleet', 'ray')}\n",
    )
    assert not (tmp_path / "fleet").exists()


def test_what_ray_sets_in_an_actor_is_as_on_the_machine(tmp_path: Path) -> None:
    of_node = tmp_path / "environ"
    of_node.write_bytes(b"OMP_NUM_THREADS=7\0PATH=/bin\0")
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PATH": "/own", "PYTHONPATH": "/sent"}
    assert environment_of_node(own, of_node) == {"OMP_NUM_THREADS": "7", "PATH": "/own", "PYTHONPATH": "/sent"}
    assert environment_of_node(own, tmp_path / "absent") == {"PATH": "/own", "PYTHONPATH": "/sent"}
