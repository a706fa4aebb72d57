"""The page ``docs/own-tests.md``: its examples run, and its table has every option."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "own-tests.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S)
FILES = {code.splitlines()[0].removeprefix("# "): code for kind, code in BLOCKS if kind == "python"}
COMMANDS = [line for kind, code in BLOCKS if kind == "console" for line in code.splitlines()]
STEPS = re.findall(r"^ +- run: (.*)$", next(code for kind, code in BLOCKS if kind == "yaml"), re.M)
STRICT = "test_strict.py"  # fails where noise leaves it unclear, as the page says
QUICK = ("--duet-budget=600ms", "--duet-threads=1", "--duet-no-processes", f"--deselect={STRICT}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of all the page's files, without those that take a duet's time."""
    folder = tmp_path_factory.mktemp("project")
    for name, code in FILES.items():
        (folder / name).write_text(code, encoding="utf-8")
    return folder


def run(command: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command.partition(" >> ")[0])
    return subprocess.run(
        [sys.executable, "-m", *words, *more], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )


def test_every_block_is_one_that_these_tests_run() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "console", "yaml", "text"}
    assert set(FILES) == {"layers.py", *(f"test_{name}.py" for name in ("first", "more", "marked", "strict", "large"))}
    installs = [line for line in (*COMMANDS, *STEPS) if line.startswith("pip install ")]
    assert installs == ["pip install ../torchduet", "pip install -e . torchduet"]


def test_the_files_pass_with_what_they_say_themselves(folder: Path) -> None:
    """In one session; the lines of the page's tables are ours."""
    done = run("pytest test_large.py", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_large.test_large" in done.stdout


def test_the_strict_test_passes_or_is_not_sure(folder: Path) -> None:
    done = run(f"pytest {STRICT}", folder)
    assert "test_strict.test_surely_not_slower" in done.stdout
    if done.returncode:
        assert "AssertionError: softmax may take " in done.stdout


@pytest.mark.parametrize(
    "command", dict.fromkeys(line for line in (*COMMANDS, *STEPS) if not line.startswith(("pip", "torchduet")))
)
def test_a_command_runs(folder: Path, command: str) -> None:
    done = run(command, folder, *QUICK)
    assert done.returncode in ((0, 5) if "--duet-skip" in command else (0,)), done.stdout + done.stderr
    if "--duet-json" in command:
        for render in (line for line in (*COMMANDS, *STEPS) if line.startswith("torchduet")):
            assert run(render, folder).returncode == 0


def test_the_shown_lines_are_those_that_pytest_shows() -> None:
    shown = "\n".join(code for kind, code in BLOCKS if kind == "text")
    for words in (
        "times as long as softmax_by_steps (1.28 to 1.34, 99 %); allowed are 1.05",
        "speed-up  99 % interval",
    ):
        assert words in shown


def test_every_option_is_in_the_table_with_its_default() -> None:
    done = subprocess.run([sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True)
    (ours,) = re.findall(r"\nduets: .*?\n(.*?)\n\n", done.stdout, re.S)
    options = re.findall(r"^  (--[a-z-]+)(?:=(\S+))?(.*?)(?=^  --|\Z)", ours + "\n", re.M | re.S)
    table = dict(re.findall(r"^\| `(--duet-[a-z-]+)[^`]*` \| ([^|]+) \|", PAGE, re.M))
    assert {name for name, _, _ in options} == set(table)
    for name, _, text in options:
        words = re.sub(r"\s+", " ", text)
        default = re.search(r"\(default: ([^)]*)\)", words)
        assert default is not None, name
        if name != "--duet-no-processes":
            assert default[1] == table[name].replace("`", ""), name
