"""A user's file in a real run: its child processes, its import, its first calls, and what it must not do."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HEAD = """
import os, sys, threading, time
import torch
from torchduet import Axis, Suite

with open(os.path.join(os.path.dirname(__file__), "imports"), "a") as log:
    log.write(f"{os.getpid()}\\n")
suite = Suite("mine")


def ones(device, n):
    return (torch.ones(n),)
"""
THREE_SIZES = """
suite.compare("f", {"a": lambda x: x + 1}, inputs=ones, axes={"n": [8, 16, 32]}, modes=["eager"])
"""
LOADING = """
from torch.utils.data import DataLoader, Dataset
from layers import Scaled


class Rows(Dataset):
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return Scaled(2)(self.x[index])


def loading(method):
    def total(x):
        loader = DataLoader(Rows(x), batch_size=4, num_workers=1, multiprocessing_context=method)
        return sum(batch.sum() for batch in loader)

    return total


for method in ("spawn", "forkserver"):
    functions = {"direct": lambda x: 2 * x.sum(), "loaded": loading(method)}
    suite.compare(method, functions, inputs=ones, axes={"n": [8]}, modes=["eager"])
"""


def run(folder: Path, text: str, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """A run of ``mine.py`` with this text, and its record; an empty one where nothing is written."""
    (folder / "mine.py").write_text(text)
    record = folder / "run.json"
    command = [sys.executable, "-m", "pytest", "bench/", "-q", "--suite", str(folder / "mine.py"), *options]
    environment = {**os.environ, "TORCHDUET_LOCK": str(folder / "lock"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--benchmark-json", str(record)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done, json.loads(record.read_text()) if record.exists() and record.stat().st_size else {}


def imports(folder: Path) -> int:
    """How often the file was imported."""
    return len((folder / "imports").read_text().split())


def test_loaders_of_every_start_method_find_the_file_and_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text(
        "class Scaled:\n    def __init__(self, factor):\n        self.factor = factor\n\n"
        "    def __call__(self, row):\n        return self.factor * row\n"
    )
    done, _ = run(tmp_path, HEAD + LOADING, "--benchmark-disable", "-rs")
    assert "4 cases skipped: checked, not timed" in done.stdout, done.stdout
    assert done.returncode == 0


def test_a_file_is_imported_once_for_all_workers(tmp_path: Path) -> None:
    done, record = run(tmp_path, HEAD + "time.sleep(0.5)\n" + THREE_SIZES, "--budget", "10s")
    assert len(record["benchmarks"]) == 3, done.stdout
    assert imports(tmp_path) == 2  # by pytest and by the fork server


LEAVING = {
    "a thread": ("threading.Thread(target=threading.Event().wait, daemon=True).start()\n", "it leaves a thread"),
    "another default": ("torch.set_default_dtype(torch.float64)\n", "it changes default dtype"),
}


@pytest.mark.parametrize("what", LEAVING)
def test_a_file_that_leaves_something_behind_is_imported_by_each_worker(tmp_path: Path, what: str) -> None:
    text, reason = LEAVING[what]
    done, record = run(tmp_path, HEAD + text + "time.sleep(0.5)\n" + THREE_SIZES, "--budget", "15s")
    assert len(record["benchmarks"]) == 3, done.stdout
    visits = sum(len(one["extra_info"]["torchduet"]["timing"]["visits"]) for one in record["benchmarks"])
    # By pytest and in each visit; the budget may have ended another visit after its import.
    assert imports(tmp_path) - 1 - visits in (0, 1)
    (warning,) = [line for line in record["torchduet"]["warnings"] if "the import of mine.py takes" in line]
    assert reason in warning
    assert record["torchduet"]["seconds"]["importing"] > 0


def test_workers_do_without_the_server_where_it_cannot_fork_them(tmp_path: Path) -> None:
    text = "if 'pytest' not in sys.modules:\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    done, record = run(tmp_path, HEAD + text + "time.sleep(0.5)\n" + THREE_SIZES, "-k", "n8", "--budget", "10s")
    assert len(record["benchmarks"]) == 1, done.stdout
    assert any("each worker imports torch itself" in line for line in record["torchduet"]["warnings"])


def test_a_long_first_call_decides_nothing(tmp_path: Path) -> None:
    text = """
calls = [0]


def lazy(x):
    calls[0] += 1
    if calls[0] == 2:  # the first is that of the check in float64
        time.sleep(2.5)
    return x + 1


suite.compare("f", {"lazy": lazy, "plain": lambda x: x + 1}, inputs=ones, axes={"n": [8, 16]}, modes=["eager"])
"""
    done, record = run(tmp_path, HEAD + text, "--budget", "20s")
    assert len(record["benchmarks"]) == 4, done.stdout
    assert "one call takes" not in done.stdout


REFUSED = {
    "exit": ("import sys\nsys.exit(3)\n", "mine.py:2: it ends the program when it is imported (sys.exit(3))"),
    "arguments": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('n')\np.parse_args()\n",
        "error: the following arguments are required: n); put that under if __name__ == '__main__':",
    ),
    "megabytes": ("print('x' * 10_000_000)\nraise ValueError('after it')\n", "mine.py:2: ValueError: after it"),
    "for ever, catching": (
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except Exception:\n        pass\n",
        "mine.py:4: its import has not ended after 1 s",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_cannot_be_imported_is_a_usage_error_of_one_line(tmp_path: Path, what: str) -> None:
    text, message = REFUSED[what]
    done, record = run(tmp_path, text, "--hang-after", "1s")
    assert done.returncode == 4, done.stdout
    assert record == {}
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert message in line
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert len(done.stdout) < 50_000


def test_a_file_that_changes_the_folder_and_the_start_method_is_measured(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "n").write_text("8")
    text = """
import multiprocessing, warnings
multiprocessing.set_start_method("spawn")
warnings.simplefilter("error")
os.chdir(os.path.join(os.path.dirname(__file__), "data"))


def from_file(device):
    return (torch.ones(int(open("n").read())),)


suite.compare("f", {"a": lambda x: x + 1}, inputs=from_file, modes=["eager"])
"""
    done, record = run(tmp_path, HEAD + text, "--budget", "5s")
    assert len(record["benchmarks"]) == 1, done.stdout
