"""The sessions for a machine with a GPU: what they run, and that they need nothing that such a machine may lack."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib import import_module, metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import torchduet
from tests.bench.made_workers import begin
from torchduet.bench.plan.cli import add_to
from torchduet.bench.run.resume import identity

ROOT = Path(__file__).parents[1]
NOXFILE = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
LACKS = """
import sys
from importlib import metadata

class Lacks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("hypothesis", "playwright", "axe_playwright_python", "xdist"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Lacks())
"""


def on_gpu() -> tuple[str, ...]:
    """The files that the session check-cuda names."""
    (names,) = [
        node.value for node in NOXFILE.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ON_GPU"
    ]
    return tuple(ast.literal_eval(names))


def test_check_cuda_names_every_file_with_a_test_that_needs_a_gpu() -> None:
    marked = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(
            r"^(?:pytestmark\b.*\[\n(?:.*\n)*?\s*|@)pytest\.mark\.cuda\b", path.read_text("utf-8"), re.MULTILINE
        )
    ]
    assert sorted(marked) == sorted(on_gpu())


def test_these_files_are_collected_without_what_other_tests_need(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LACKS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *on_gpu(), "-m", "cuda", "-q", "--collect-only", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        | {"PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:xdist -p no:playwright"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_every_mode_and_precision_of_a_training_step_is_right" in done.stdout
    assert "test_device_time_covers_the_work_on_a_real_gpu" in done.stdout


@pytest.mark.parametrize(("session", "budget"), [("bench_cuda", "45m"), ("bench_cuda_quick", "8m")])
def test_bench_cuda_measures_the_gpu_alone_within_its_budget(session: str, budget: str) -> None:
    functions = {node.name: ast.unparse(node) for node in NOXFILE.body if isinstance(node, ast.FunctionDef)}
    assert f", '{budget}')" in functions[session]
    assert "'--tier', 'default', '--device', 'cuda', '--budget', budget" in functions["measure_gpu"]


def test_a_clone_that_is_not_installed_records_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata.version

    def version(name: str) -> str:
        if name == "torchduet":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)
    workloads = 'suite.compare("w", {"one": one, "two": two}, inputs=inputs, modes=["eager"])\n'
    run: Any = begin(tmp_path, monkeypatch, workloads, budget="20s")
    run.to_its_end()
    assert run.session.run_record()["version"] == torchduet.__version__
    assert identity(run.measuring)["version"]["torchduet"] == torchduet.__version__


SCRIPT = ROOT / "docs" / "gpu-check.sh"


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would check this GPU for ten minutes")
def test_the_script_ends_with_one_line_where_there_is_no_gpu(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        [str(SCRIPT)],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}", "OUT": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1, done.stdout
    assert re.match(r"torch \S+ is a CPU build: |PyTorch finds no CUDA GPU here; ", done.stdout)
    assert (tmp_path / "out" / "log.txt").read_text() == done.stdout


PYTHON = """#!{python}
import os, sys, time

if sys.argv[1:] == ["-"] and "find_spec" in (program := sys.stdin.read()):
    sys.exit(0)  # it could run here
if sys.argv[1:3] == ["-m", "pip"]:
    sys.exit(0)
with open({log!r}, "a") as log:
    print("program of", len(program), "letters" if "CudaClock" in program else "?", file=log, flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.5)
        print("written", file=log)
        sys.exit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash")
def test_ctrl_c_ends_the_part_that_runs_and_begins_no_other(tmp_path: Path) -> None:
    """The terminal sends the signal to the group of the script; a part has its own, so that its workers end, too."""
    log = tmp_path / "log"
    for name, text in (("python3", PYTHON.format(python=sys.executable, log=str(log))), ("nvidia-smi", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    script = subprocess.Popen(
        [str(SCRIPT)],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OUT": str(tmp_path / "out")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while not (log.exists() and log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(script.pid, signal.SIGINT)
        output, _ = script.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)
    first, *others = log.read_text().splitlines()
    assert re.fullmatch(r"program of \d{4} letters", first), "it has the text of the first part as its input"
    assert others == ["written"], "it has time to write its results, and no other part begins"
    assert script.returncode == 130
    assert output.count("(at most ") == 1
    assert output.endswith("== interrupted\n")
    assert (tmp_path / "out" / "log.txt").read_text() == output


def test_the_scripts_programs_import_what_exists_and_its_options_are_known() -> None:
    text = SCRIPT.read_text("utf-8")
    programs = re.findall(r"<<'PY'\n(.*?)\nPY\n", text, re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("torchduet"):
                assert all(hasattr(import_module(str(node.module)), each.name) for each in node.names)
    known: set[str] = {"--benchmark-json", "--benchmark-quiet"}
    add_to(SimpleNamespace(addoption=lambda name, **_: known.add(name)))
    calls = re.findall(r"bench/ -q (.*?)\n(?:    part|\n)", text, re.DOTALL)
    assert len(calls) == 3
    for call in calls:
        assert set(re.findall(r"(?<=\s)--[a-z-]+", f" {call}")) <= known


def test_the_scripts_parts_end_within_ten_minutes_together() -> None:
    limits = [
        int(limit) for limit in re.findall(r"""^    part "[^"]+" (\d+) """, SCRIPT.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(limits) == 8
    assert sum(limits) < 600
