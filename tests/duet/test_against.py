"""``torchduet against REV``, for real: what it finds, what it prints and writes, its exit codes, and what it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.duet.repositories import LAYER, Made, repository, write

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "duet" / "duet.sh"
BUDGET = "25s"
SUITE = '''"""Two workloads of two modules of the package."""

import torch

from torchduet import Suite
from mypkg import layers, losses

suite = Suite("layers", "Layers of the package")


def vector(device: torch.device, n: int) -> tuple[torch.Tensor]:
    return (torch.ones(n, device=device),)


suite.compare("net", {"net": layers.net}, inputs=vector, axes={"n": [4000]})
suite.compare("loss", {"loss": losses.loss}, inputs=vector, axes={"n": [4000]})
'''
MORE_MEMORY = "def net(x):\n    kept = [x * 1.0001 for _ in range({rounds})]\n    return kept[-1] + 0 * kept[0]\n"


def made_of(folder: Path, base: str, mine: str) -> Made:
    """A repository whose branch ``topic`` changes ``layers.py`` from the one text to the other."""
    made = repository(folder)
    made.git("checkout", "main")
    losses = "def loss(x):\n    for _ in range(9):\n        x = x * 1.0001\n    return x.sum()\n"
    made.write({"bench/layers.py": SUITE, "src/mypkg/layers.py": base, "src/mypkg/losses.py": losses})
    made.commit("both workloads")
    made.git("branch", "--force", "topic", "main")
    made.git("checkout", "topic")
    made.write({"src/mypkg/layers.py": mine})
    made.commit("mine")
    return made


def against(
    made: Made, *arguments: str, rev: str = "main", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torchduet", "against", rev, *arguments]
    environment = os.environ | {"COLUMNS": "200", "TMPDIR": str(made.top.parent / "temporary")} | (env or {})
    (made.top.parent / "temporary").mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=made.top, env=environment, capture_output=True, text=True, check=False, timeout=400
    )
    assert not any((made.top.parent / "temporary").glob("torchduet-*")), "a folder was left behind"
    assert made.git("status", "--porcelain") == ""
    return done


def benchmarks(out: Path) -> list[Any]:
    """The cases of a run, none if there is no file."""
    file = out / "run.json"
    return json.loads(file.read_text())["benchmarks"] if file.exists() else []


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, subprocess.CompletedProcess[str], Path]:
    """A change by which one of two workloads takes twice as long and twice the memory; its run and its files."""
    folder = tmp_path_factory.mktemp("slower")
    made = made_of(folder / "project", MORE_MEMORY.format(rounds=20), MORE_MEMORY.format(rounds=40))
    write(folder, {"out/keep": ""})
    out = folder / "out"
    for budget in (BUDGET, "80s", "240s"):  # a busy machine takes longer for the pairs that a verdict needs
        done = against(
            made,
            *("--fail-on", "slower,memory", "--threshold", "10%", "--budget", budget, "--only-changed"),
            *("--json", str(out / "run.json"), "-o", str(out / "report.html"), "--comment", str(out / "comment.md")),
            *("--", "--suite", "bench/layers.py", "--threads", "1"),
            env={"PYTHONPATH": str(made.top / "src")},
        )
        if "confirmed" in {one["extra_info"]["torchduet"]["against"]["stage"] for one in benchmarks(out)}:
            break
    return made, done, out


def test_a_change_that_makes_it_slower_fails(slower: Any) -> None:
    made, done, _ = slower
    assert done.returncode == 1, done.stdout + done.stderr
    base, head = (made.git("rev-parse", "--short=7", rev).strip() for rev in ("main", "topic"))
    assert "Your change makes layers.net take " in done.stdout
    assert f"torchduet: base: main, {base} (" in done.stdout
    assert f"torchduet: new: your files at {head} (" in done.stdout
    assert "1 file differs between the sides: src/mypkg/layers.py" in done.stdout
    for side in ("the base", "yours"):
        assert f"{side} imports layers from bench/layers.py, mypkg from src/mypkg/__init__.py" in done.stdout
    assert "layers.net[n=4000] cpu eager fp32 needs more memory, " in done.stdout
    assert re.search(r"1 control, which the change cannot reach: 1 (same|unclear)", done.stdout)
    assert "--fail-on: of 1 case, 1 is slower and 1 needs more memory: exit code 1" in done.stdout


def test_its_record_has_both_commits_and_what_was_imported(slower: Any) -> None:
    made, _, out = slower
    run = json.loads((out / "run.json").read_text())
    duet = run["torchduet"]["against"]
    assert duet["base"]["commit"] == made.git("rev-parse", "main").strip()
    assert (duet["against"]["commit"], duet["against"]["uncommitted"]) == (made.git("rev-parse", "topic").strip(), 0)
    assert duet["base"]["imported"]["mypkg"] == duet["against"]["imported"]["mypkg"] == "src/mypkg/__init__.py"
    assert duet["threshold"] == 0.1
    records = {one["params"]["workload"]: one["extra_info"]["torchduet"]["against"] for one in run["benchmarks"]}
    assert records["net"]["verdict"] == "slower"
    assert records["net"]["ratio"] < 0.75
    assert records["net"]["peak_bytes"] > 1.5 * records["net"]["base_peak_bytes"]
    assert records["loss"]["peak_bytes"] == records["loss"]["base_peak_bytes"]
    assert (records["loss"]["control"], "control" in records["net"]) == (True, False)


def test_its_comment_and_its_page_say_it_first(slower: Any) -> None:
    _, _, out = slower
    comment = (out / "comment.md").read_text()
    assert re.search(r"`layers\.net\[n=4000\] cpu eager fp32` takes \d\.\d+ times as long", comment)
    assert len(comment.splitlines()) <= 20
    page = (out / "report.html").read_text()
    assert "<h1>Your change makes layers.net take " in page


def test_the_same_run_is_a_gate_afterwards(slower: Any) -> None:
    _, _, out = slower
    for fail_on, code in (("slower", 1), ("memory", 1), ("all-slower", 1)):
        done = subprocess.run(
            [sys.executable, "-m", "torchduet", "compare", str(out / "run.json"), "--fail-on", fail_on],
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr


def test_no_change_is_green(tmp_path: Path) -> None:
    text = LAYER.format(side="both", rounds=20)
    made = made_of(tmp_path / "project", text, text + "\n# a comment\n")
    done = against(
        made,
        *("--fail-on", "slower,memory", "--threshold", "20%", "--budget", BUDGET),
        *("--", "--suite", "bench/layers.py", "--threads", "1"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slower or faster than main" in done.stdout
    assert "Read the report" not in done.stdout  # of a file that is gone


@pytest.mark.parametrize(
    ("rev", "arguments", "says"),
    [
        ("nosuch", (), "--against-rev nosuch: the repository "),
        ("main", ("--case", "nosuch*"), "--case 'nosuch*': no selected case matches"),
        ("main", ("--suite", "missing.py"), "--suite missing.py: there is no "),
        ("main", ("--fail-on", "slowest"), "--fail-on slowest: 'slowest' is none of slower, unclear, memory"),
        ("main", ("--threshold", "much"), "--threshold='much': use a percentage above 0"),
        ("main", ("--budget", "soon"), "--budget 'soon': use a time"),
    ],
)
def test_bad_input_is_one_line(rev: str, arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    made = made_of(tmp_path / "project", LAYER.format(side="a", rounds=1), LAYER.format(side="b", rounds=1))
    done = against(made, "--", "--suite", "bench/layers.py", *arguments, rev=rev)
    assert done.returncode == 4, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(lines) == 1, done.stderr
    assert says in lines[0]


@pytest.mark.parametrize("option", ["--build", "--only-changed", "--against-exact"])
def test_an_option_without_a_revision_is_one_line(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torchduet", "run", "--suite", "matmul", option],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert f"ERROR: {option}: belongs to --against-rev REV" in done.stderr


def test_a_package_that_the_base_cannot_import_says_so(tmp_path: Path) -> None:
    made = made_of(tmp_path / "project", "import nosuch_package\n", LAYER.format(side="b", rounds=1))
    done = against(made, "--", "--suite", "bench/layers.py", env={"PYTHONPATH": "src"})
    assert done.returncode == 4, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert re.search(r"--against-rev main: on the side of main, \w{7}: bench/layers\.py:\d+: .*nosuch_package", line), (
        line
    )
    assert str(tmp_path) not in line.partition("main: ")[2]


def test_a_module_that_the_base_lacks_says_what_to_do(tmp_path: Path) -> None:
    made = made_of(tmp_path / "project", LAYER.format(side="a", rounds=1), LAYER.format(side="b", rounds=1))
    made.write({"src/mypkg/newer.py": "", "bench/other.py": SUITE.replace("layers, losses", "layers, losses, newer")})
    made.commit("a new module")
    done = against(made, "--", "--suite", "bench/other.py", env={"PYTHONPATH": "src"})
    assert done.returncode == 4, done.stdout + done.stderr
    assert ": mypkg.newer is new: the base has no such module. Import it within the functions" in done.stderr
    made.write({"bench/other.py": f"import mypkg.newer\n{SUITE}"})
    made.commit("by its whole name")
    done = against(made, "--", "--suite", "bench/other.py", env={"PYTHONPATH": "src"})
    assert ": mypkg.newer is new: the base has no such module. Import it within the functions" in done.stderr


def test_a_workload_that_the_base_lacks_is_left_out_and_says_so(tmp_path: Path) -> None:
    made = made_of(tmp_path / "project", LAYER.format(side="a", rounds=1), LAYER.format(side="b", rounds=1))
    more = '\nsuite.compare("new", {"f": layers.net}, inputs=vector, axes={"n": [100]})\n'
    made.write({"bench/layers.py": SUITE + more})
    made.commit("a new workload")
    done = against(made, "--", "--suite", "bench/layers.py", "--benchmark-disable", "-rs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"on the side of main, \w{7}: there is no workload layers\.new there", done.stdout)
    assert "bench/layers.py itself differs between the sides" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_request_keeps_what_was_measured_and_leaves_nothing(number: int, tmp_path: Path) -> None:
    made = made_of(tmp_path / "project", LAYER.format(side="a", rounds=1), LAYER.format(side="b", rounds=1))
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "torchduet", "against", "main", "--json", str(tmp_path / "run.json")]
    process = subprocess.Popen(
        [*command, "--budget", "10m", "--", "--suite", "bench/layers.py", "--threads", "1"],
        cwd=made.top,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("not settled" in line for line in lines)  # the first pairs are measured
    os.killpg(process.pid, number)  # as a terminal sends Ctrl-C; SIGTERM comes twice, once passed on
    rest = "".join(lines)
    assert process.wait() in (128 + signal.SIGINT, 128 + signal.SIGTERM), rest
    assert not any((tmp_path / "temporary").glob("torchduet-*")), rest


@pytest.mark.skipif(os.name != "posix", reason="the script is for bash")
@pytest.mark.parametrize(("rounds", "code", "verdict"), [(20, 0, "pass"), (40, 1, "fail")])
def test_the_action_of_github_finds_it(rounds: int, code: int, verdict: str, tmp_path: Path) -> None:
    made = made_of(tmp_path / "project", LAYER.format(side="a", rounds=20), LAYER.format(side="b", rounds=rounds))
    made.git("clone", "--bare", str(made.top), str(tmp_path / "origin.git"))
    clone = ("clone", "--depth", "1", "--branch", "topic", f"file://{tmp_path / 'origin.git'}", str(tmp_path / "clone"))
    made.git(*clone)
    (tmp_path / "runner").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "DUET_"))} | {
        "DUET_PYTHON": sys.executable,
        "DUET_SUITE": "bench/layers.py",
        "DUET_BUDGET": BUDGET,
        "DUET_THRESHOLD": "20%",
        "DUET_FAIL_ON": "slower,memory",
        "DUET_ARGUMENTS": "--threads 1 --case 'layers.net*'",
        "DUET_PULL_REQUEST": "7",
        "GITHUB_BASE_REF": "main",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUNNER_TEMP": str(tmp_path / "runner"),
    }
    done = subprocess.run(
        ["bash", str(ACTION)], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (outputs["verdict"], outputs["exit-code"]) == (verdict, str(code))
    assert Path(outputs["report"]).is_file()
    summary = (tmp_path / "summary.md").read_text()
    assert ("takes" in summary) is (code == 1)
    assert len(summary.splitlines()) <= 20
