"""``torchduet run`` leaves nothing in the current folder; pytest's cache is Torchduet's own, for each folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchduet.run_command import command

SUITE = """
import torch
from torchduet import Suite

suite = Suite("left")
suite.compare("add", {"plain": torch.add}, inputs=lambda device: (torch.ones(4), torch.ones(4)), modes=["eager"],
    precisions=["fp32", "tf32"])
"""


def run(folder: Path, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``torchduet run`` in ``folder/project``, with a cache folder beside it, unless another is given."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "left.py").write_text(SUITE, "utf-8")
    return subprocess.run(
        [sys.executable, "-B", "-m", "torchduet", "run", "--suite", "left.py", "--threads", "1", *arguments],
        cwd=project,
        env={**os.environ, "XDG_CACHE_HOME": str(cache or folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is given by XDG_CACHE_HOME")
def test_a_run_leaves_nothing_in_the_current_folder(tmp_path: Path) -> None:
    done = run(tmp_path, "--benchmark-disable")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (tmp_path / "project").iterdir()} == {"left.py"}
    again = run(tmp_path, "--benchmark-disable", "--last-failed", "--last-failed-no-failures", "none")
    assert again.returncode == 5, again.stdout  # none has failed in the run before, as the cache says
    assert "run-last-failure: no previously failed tests" in again.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is given by XDG_CACHE_HOME")
def test_what_is_asked_to_be_saved_is_saved_in_the_current_folder(tmp_path: Path) -> None:
    done = run(tmp_path, "--benchmark-autosave", "--budget", "2s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (tmp_path / "project").iterdir()} == {"left.py", ".benchmarks"}
    assert len(list((tmp_path / "project" / ".benchmarks").rglob("*.json"))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is given by XDG_CACHE_HOME")
def test_a_cache_folder_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    options = ("--benchmark-disable", "--last-failed")
    done = run(tmp_path, *options, cache=Path("/dev/null/cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/dev/null/cache" not in done.stdout + done.stderr


def test_a_run_without_a_terminal_reporter_writes_its_file(tmp_path: Path) -> None:
    done = run(tmp_path, "-p", "no:terminal", "--budget", "2s", "--benchmark-json", "run.json")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert len(json.loads((tmp_path / "project" / "run.json").read_bytes())["benchmarks"]) == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--benchmark-disable", "--benchmark-json", "run.json"), "nothing was timed, so run.json was not written"),
        (("--precision", "tf32", "--benchmark-json", "run.json"), "nothing was timed, so run.json was not written"),
        (("--benchmark-disable", "--benchmark-autosave"), "nothing was timed, so pytest-benchmark has saved nothing"),
    ],
    ids=["checked", "skipped", "autosave"],
)
def test_a_file_that_is_not_written_is_named(tmp_path: Path, options: tuple[str, ...], line: str) -> None:
    done = run(tmp_path, *options, "--device", "cpu", "--budget", "0.5s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "budget 0.5 s" in done.stdout
    assert done.stdout.splitlines().count(line) == 1
    assert "Not saving anything" not in done.stdout + done.stderr
    assert not (tmp_path / "project" / "run.json").exists()


@pytest.mark.parametrize("option", ["--benchmark-save=a", "--benchmark-autosave", "--benchmark-compare"])
def test_the_storage_stays_where_it_is_used(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(*arguments: str) -> bool:
        return any(one.startswith("--benchmark-storage=file://") for one in command(arguments)[: -len(arguments)])

    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert not moved(option)
    assert not moved("--benchmark-storage=file://x")
    assert moved("--suite", "a.py")
    monkeypatch.setenv("PYTEST_ADDOPTS", f"-q {option}")
    assert not moved("--suite", "a.py")


def test_options_of_the_environment_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torchduet", "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_ADDOPTS": "-k 'open"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: PYTEST_ADDOPTS: ")
    assert done.stderr.count("\n") == 1


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    """Neither a file with the name of a module of Python's, nor the folder of a clone."""
    for name in ("json", "py"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    (tmp_path / "torchduet").mkdir()
    (tmp_path / "mine.py").write_text("from torchduet import Suite\n\nsuite = Suite('mine')\n")
    command = [sys.executable, "-P", "-m", "torchduet", "run", "--suite", "mine.py", "--collect-only"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "imported" not in done.stdout + done.stderr
    assert done.returncode == 5, done.stdout + done.stderr  # its suite has no case
