"""A run that a script starts with ``pytest.main``, without ``if __name__ == "__main__"``, or from standard input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """
import multiprocessing
import time
import torch
from torchduet import Suite

suite = Suite("mine")


def ones(device, n):
    return (torch.ones(n),)


def with_a_child(x):
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    child.start()
    child.join()
    assert child.exitcode == 0
    return x.sum()


functions = {"alone": lambda x: x.sum(), "with_a_child": with_a_child}
suite.compare("f", functions, inputs=ones, axes={"n": [8]}, modes=["eager"])
"""
SCRIPT = """
import sys
import pytest

with open("starts", "a") as log:
    log.write("started\\n")
options = ["--suite", "mine.py", "--benchmark-json", "run.json", "--budget", "4s", "--threads", "1", *{more!r}]
sys.exit(pytest.main([{bench!r}, "-q", *options]))
"""


def measured_by_a_script(folder: Path, *, from_stdin: bool, more: tuple[str, ...] = ()) -> list[str]:
    """The ids of the cases that a script measures; it starts once."""
    (folder / "mine.py").write_text(SUITE)
    text = SCRIPT.format(bench=str(ROOT / "bench"), more=more)
    (folder / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-" if from_stdin else "script.py"],
        cwd=folder,
        input=text if from_stdin else "",
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "starts").read_text() == "started\n"
    content = json.loads((folder / "run.json").read_text())
    assert content["torchduet"]["failed"] == []
    return [
        measured["case"]["id"]
        for measured in (benchmark["extra_info"]["torchduet"] for benchmark in content["benchmarks"])
    ]


@pytest.mark.parametrize("from_stdin", [False, True], ids=["script", "standard input"])
def test_a_script_without_a_guard_is_not_run_by_its_workers(tmp_path: Path, from_stdin: bool) -> None:
    assert len(measured_by_a_script(tmp_path, from_stdin=from_stdin)) == 2


def test_each_worker_as_a_new_interpreter_runs_no_script_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)  # no room for a fork server's socket
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    assert len(measured_by_a_script(tmp_path, from_stdin=True)) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a duet needs fork")
def test_nor_do_the_processes_of_a_duet(tmp_path: Path) -> None:
    assert len(measured_by_a_script(tmp_path, from_stdin=False, more=("--against", sys.executable))) == 2
