"""Real runs in processes that torchrun, or this file, has started together: rank 0 measures, the others follow."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_left_behind import ROOT, Traces, until
from torchduet.bench.host.launch.variables import OF_ONE_PROCESS

WORKLOADS = Path(__file__).parent / "workloads" / "together.py"
SECONDS = 150.0  # beside other busy processes
OTHER_VERSIONS = """
import sys
import torch
import torchduet
torch.__version__, torchduet.__version__ = sys.argv[1] or torch.__version__, sys.argv[2] or torchduet.__version__
import pytest
sys.exit(pytest.main(sys.argv[3:]))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


class Started:
    """Processes that were started together, in a temporary folder of their own; all are ended with the test."""

    def __init__(self, traces: Traces, run: Path) -> None:
        self.traces, self.run = traces, run
        self.processes: list[subprocess.Popen[str]] = []
        self.environment = {
            name: value
            for name, value in traces.environment.items()
            if name not in {*OF_ONE_PROCESS, "OMP_NUM_THREADS"}
        }

    def arguments(self, *options: str) -> list[str]:
        """Of pytest."""
        file = ("--suite", str(WORKLOADS), "--benchmark-json", str(self.run), "--when-busy", "go")
        return ["bench/", *file, "--threads", "1", *options]

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a process."""
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def by_hand(self, rank: int, world: int, port: int, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start a process as a script of Slurm does."""
        return self.start("-m", "pytest", *self.arguments(*options), **by_hand(rank, world, port), **variables)

    def record(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The record of the run, and those of its cases by their workload."""
        content = json.loads(self.run.read_text())
        cases = [benchmark["extra_info"].get("torchduet") for benchmark in content["benchmarks"]]
        return content["torchduet"], {case["case"]["workload"]: case for case in cases if case is not None}


def by_hand(rank: int, world: int, port: int) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    processes = Started(Traces(folder), tmp_path / "run.json")
    try:
        yield processes
    finally:
        for process in processes.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        shutil.rmtree(folder)


def failures(output: str) -> dict[str, str]:
    """Workload → the first line of why it failed, from what pytest prints."""
    return dict(re.findall(r"_+ test_user\[together-(\w+)-.*\] _+\n(.*)", output))


def nothing_is_left(traces: Traces) -> bool:
    return until(lambda: not traces.processes(), 20.0)


def test_one_machine(started: Started) -> None:
    run = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pytest")
    code, output = end(started.start(*run, *started.arguments("--benchmark-disable", "-k", "sum or alone")))
    assert code == 0, output
    assert "2 cases skipped: checked, not timed" in output
    assert output.count("torchduet: tier") == 1, "one process writes to the terminal"
    assert nothing_is_left(started.traces)
    assert not [*started.traces.folder.glob("torchduet-*")], "temporary folders are removed"


def test_two_nodes(started: Started) -> None:
    run = ("-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1")
    asked = started.arguments("--budget", "5s", "-k", "sum")
    port = str(free_port())
    second, first = (
        started.start(*run, "--master-port", port, "--node-rank", node, "-m", "pytest", *asked) for node in "10"
    )
    (code, output), (other_code, other_output) = end(first), end(second)
    assert (code, other_code) == (0, 0), output + other_output
    about, cases = started.record()
    machine = about["machine"]
    assert (machine["started_by"], machine["processes"], machine["nodes"]) == ("torchrun", 2, 2)
    assert not about["failed"]
    assert len(cases["sum"]["ranks"]["seconds"]) == 2, "each rank's time is in the record"
    assert "torchduet" not in other_output, "who follows writes nothing"
    assert [path.name for path in started.run.parent.iterdir()] == ["run.json"]
    assert nothing_is_left(started.traces)


def test_a_process_that_follows_is_killed(started: Started) -> None:
    port, asked = free_port(), ("--benchmark-disable", "-k", "fragile or sum or alone")
    follower = started.by_hand(1, 2, port, *asked, KILL_FOLLOWER="1")
    code, output = end(started.by_hand(0, 2, port, *asked))
    assert end(follower)[0] == -signal.SIGKILL
    assert code == 1, output
    reasons = failures(output)
    assert reasons.keys() == {"fragile", "sum"}, "cases of one process are checked as usual"
    for reason in reasons.values():
        assert "rank 1" in reason
        assert "the process that was started for it has ended" in reason
    assert nothing_is_left(started.traces)


def test_rank_0_is_killed(started: Started, tmp_path: Path) -> None:
    port, asked = free_port(), ("--benchmark-disable", "-k", "long")
    follower = started.by_hand(1, 2, port, *asked, LONG=str(tmp_path))
    first = started.by_hand(0, 2, port, *asked, LONG=str(tmp_path))
    assert until(lambda: (tmp_path / "1").exists(), SECONDS), "rank 1 did not begin"
    first.kill()
    code, output = end(follower)
    assert code == 1
    lines = [line for line in output.splitlines() if line.startswith("torchduet: ")]
    assert len(lines) == 1, output
    assert "rank 1: rank 0 is lost" in lines[0]
    assert nothing_is_left(started.traces)


def test_other_versions(started: Started) -> None:
    port, asked = free_port(), started.arguments("--benchmark-disable", "-k", "sum or three or alone")
    other_torch = started.start("-c", OTHER_VERSIONS, "2.0.0", "", *asked, **by_hand(1, 3, port))
    other_duet = started.start("-c", OTHER_VERSIONS, "", "0.0.1", *asked, **by_hand(2, 3, port))
    code, output = end(started.start("-m", "pytest", *asked, **by_hand(0, 3, port)))
    assert code == 1, output
    reasons = failures(output)
    assert reasons.keys() == {"sum", "three"}
    assert "rank 1 runs" in reasons["sum"]
    assert "PyTorch 2.0.0" in reasons["sum"]
    assert "install the same for all ranks" in reasons["sum"]
    assert "runs Torchduet 0.0.1, and rank 0 Torchduet" in reasons["three"]
    assert end(other_torch)[0] == 0
    code, output = end(other_duet)
    assert code == 1
    assert "runs Torchduet 0.0.1, and rank 0 Torchduet" in output


def test_contradictory_variables_are_an_error_of_usage(started: Started) -> None:
    code, output = end(started.start("-m", "pytest", *started.arguments(), RANK="2", WORLD_SIZE="2"))
    assert code == 4
    assert output.strip().startswith("ERROR: RANK is set, and MASTER_ADDR, MASTER_PORT are not")
