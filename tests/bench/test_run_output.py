"""What ``torchduet run`` prints: no lines of pytest's own that say nothing, every time once, the answer last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.test_shared_words import records
from torchduet.bench.plugin import closing_table
from torchduet.run_command import command

SUITE = """
import torch
from torchduet import Suite

suite = Suite("mine")


def vector(device, n):
    return (torch.ones(n, device=device),)


@suite.workload(inputs=vector, axes={"n": [4096]})
def lone(x):
    "a case without another"
    return x + 1


suite.compare(
    "powers", {"power": lambda x: x.pow(5), "product": lambda x: x * x * x * x * x}, inputs=vector, axes={"n": [65536]}
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "mine.py").write_text(SUITE, "utf-8")
    return folder


def output(folder: Path, *options: str) -> list[str]:
    fixed = ("--suite", "mine.py", "--mode", "eager", "--precision", "fp32", "--budget", "3s", "--threads", "1")
    arguments = [sys.executable, "-m", "torchduet", "run", *fixed, *options]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[str]:
    return output(folder, "--benchmark-json", "run.json")


def test_header_is_of_the_run_alone(lines: list[str]) -> None:
    assert lines[1].startswith("torchduet: tier quick, 1 thread, budget 3 s")
    of_others = ("platform ", "rootdir", "configfile", "plugins", "benchmark: ", "cachedir", "Name (time")
    assert [line for line in lines if line.startswith(of_others) or "test_user.py" in line] == []


def test_every_case_has_its_time_once(lines: list[str]) -> None:
    sections = [index for index, line in enumerate(lines) if line.startswith("---")]
    assert [lines[index].strip("- ").split(" (")[0] for index in sections] == [
        "speed-ups",
        "times per call of cases without a comparison",
        "answer",
    ]
    compared, alone, answer = (lines[index:] for index in sections)
    assert any(line.startswith("mine.powers[n=65536] product") and "s  " in line for line in compared)
    assert alone[2].startswith("mine.lone[n=4096]")
    assert not any("powers" in line for line in alone[2:4])
    assert "product" in " ".join(answer[1:3])


def test_list_of_cases_has_an_id_in_each_line(folder: Path) -> None:
    listed = [line for line in output(folder, "--collect-only") if "mine-" in line]
    assert [line.partition("::")[0] for line in listed] == ["bench/test_user.py"] * 3
    assert not any("<" in line for line in listed)


def test_verbose_run_has_the_header_of_pytest(folder: Path) -> None:
    again = output(folder, "-v", "--collect-only")
    assert any(line.startswith("rootdir") for line in again)
    assert not any(line.strip("-").strip() == "answer" for line in again), "nothing was measured"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((), False),
        (("--benchmark-json", "run.json"), False),
        (("--benchmark-sort=mean",), True),
        (("--benchmark-columns", "min"), True),
        (("--benchmark-verbose",), True),
        (("--benchmark-compare",), True),
    ],
)
def test_table_of_pytest_benchmark_is_shown_to_those_who_ask(given: tuple[str, ...], shown: bool) -> None:
    assert ("--benchmark-quiet" not in command(given)) == shown
    assert command(given)[len(command(given)) - len(given) :] == list(given)


def test_baseline_of_a_comparison_is_not_alone() -> None:
    measured = records()
    alone = {record["case"]["id"] for record in closing_table.alone(measured)}
    sides = {case for case, _ in closing_table.rows(measured)}
    sides |= {speedup["against"] for _, speedup in closing_table.rows(measured)}
    assert alone == {record["case"]["id"] for record in measured} - sides
