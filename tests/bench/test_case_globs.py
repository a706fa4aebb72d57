"""``--case`` and other globs over case ids: what they select, what is refused before anything is measured."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.plan.case_globs import check, check_keywords, matches, nearest
from torchduet.bench.plugin.collection import _of_other_tiers
from torchduet.bench.plugin.stash import CASE

ROOT = Path(__file__).parents[2]
SMALL = str(Path(__file__).parent / "workloads" / "small.py")
IDS = ("matmul.square[n=64] cpu eager fp32", "matmul.square[n=64] cpu eager bf16", "mlp.forward cpu eager fp32")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def listed(*arguments: str) -> list[str]:
    """The items that are selected."""
    done = bench("--collect-only", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"::\w+\[(.+)\]$", done.stdout, re.M)


def refusal(*arguments: str) -> str:
    """The one line with which a run is refused."""
    done = bench(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_glob_is_a_whole_id_in_which_brackets_are_literal() -> None:
    assert matches(IDS[0], IDS[0])
    assert matches("*[n=6?] * bf16", IDS[1])
    assert not matches("matmul.square", IDS[0])
    assert not matches("MATMUL*", IDS[0])
    assert not matches("matmul.square[n=6]*", IDS[0])


def test_an_id_selects_its_case_and_globs_add_up() -> None:
    assert listed("--case", "matmul.square[n=64] cpu eager bf16") == ["square-n64-cpu-eager-bf16"]
    both = listed("--suite", "matmul", "--case", "*[n=64]* bf16", "--case", "matmul.square[n=512] cpu eager fp32")
    assert sorted(both) == ["square-n512-cpu-eager-fp32", "square-n64-cpu-eager-bf16"]
    assert listed("-k", "n64", "--case", "matmul.square* bf16") == ["square-n64-cpu-eager-bf16"]


def test_a_glob_without_a_case_names_the_nearest() -> None:
    line = refusal("--case", "matmul.sqare[n=64] cpu eager bf16")
    assert line.startswith(
        "ERROR: --case 'matmul.sqare[n=64] cpu eager bf16': no selected case matches; the nearest are"
    )
    assert "'matmul.square[n=64] cpu eager bf16'" in line
    assert nearest("mlp.*", IDS)[0] == IDS[2]
    with pytest.raises(OptionError, match="the other options select no case"):
        check("--case", "x", [])


def test_a_case_of_another_tier_names_that_tier() -> None:
    case = "matmul.square[n=2048] cpu eager fp32"
    assert listed("--tier", "full", "--case", case)
    assert re.search(r"it is in --tier (default|full)$", refusal("--case", case))


def test_every_option_with_a_glob_refuses_one_that_matches_nothing() -> None:
    line = refusal("--suite", SMALL, "--profile=nothing*")
    assert line.startswith("ERROR: --profile 'nothing*': no selected case matches; the nearest are 'small.")
    for option in ("--case=", "--profile="):
        assert refusal(option).startswith(f"ERROR: {option[:-1]}: is empty")


def test_an_id_after_k_is_answered_with_case() -> None:
    line = refusal("-k", IDS[1])
    assert line.endswith(f"use --case {IDS[1]!r}")
    for wrong in ("n=64", "mlp.forward cpu"):
        with pytest.raises(OptionError, match="--case"):
            check_keywords(wrong)
    for right in ("", "einsum and not (bf16 or compile)", "not square-n64", "test_matmul[square"):
        check_keywords(right)


def test_a_run_that_is_refused_leaves_an_unfinished_journal_where_it_is(tmp_path: Path) -> None:
    journal = tmp_path / "run.json.journal"
    journal.write_text("of an unfinished run\n")
    for wrong in (("--case", "nothing"), ("--profile=nothing",), ("-k", "and")):
        assert bench("--suite", SMALL, "--benchmark-json", str(tmp_path / "run.json"), *wrong).returncode == 4
        assert [path.name for path in tmp_path.iterdir()] == [journal.name]


def test_a_run_continues_with_the_same_cases_however_they_are_selected(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    options = ("--suite", SMALL, "--budget", "6s", "--threads", "1", "--benchmark-json", str(run))
    command = [sys.executable, "-m", "pytest", "bench/", "-q", *options, "-k", "sum"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        journal = tmp_path / "run.json.journal"
        while first.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 2):
            sleep(0.05)
        first.send_signal(signal.SIGINT)
    assert first.returncode == 130
    continued = bench(*options, "--resume", "--case", "small.sum[n=2000] *")
    assert continued.returncode == 0, continued.stdout + continued.stderr
    assert "resumed from" in continued.stdout
    assert len(json.loads(run.read_text())["benchmarks"]) == 2


def test_a_suite_without_cases_in_the_tier_is_named_with_the_tier_that_has_some() -> None:
    options = SimpleNamespace(tier="quick", suites=("speech", "mlp", "mine.py"))
    tiers = {"speech.*": "default", "mlp.*": "default"}
    settings: Any = SimpleNamespace(options=options, selection=SimpleNamespace(tier_with=tiers.get))
    item: Any = SimpleNamespace(
        stash={CASE: Case("mlp", "mlp", "train", "", (), "train", True, "cpu", "eager", "fp32")}
    )
    assert _of_other_tiers([item], settings) == [
        "--suite speech: none of its cases is in the tier quick; the first are in --tier default"
    ]
