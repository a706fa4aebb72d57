"""``pytest bench/ --shard K/N`` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.test_run import ROOT, SMALL, pytest_bench
from torchduet.bench.cases.case import cases_of
from torchduet.suites.registry import load, names

WITH_GPU = """
from dataclasses import replace
from torchduet.bench.host.machine import Gpu
from torchduet.bench.plugin import start

of_this_machine = start._machine
start._machine = lambda launcher: replace(
    of_this_machine(launcher), gpus=(Gpu("NVIDIA H200", (9, 0), 140 << 30, triton=True),), no_cuda=""
)
"""


def selected(*arguments: str, **environment: str) -> list[str]:
    """The ids that ``--collect-only -q`` lists."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--collect-only", "-q", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": ""} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("bench/")]


def families(ids: list[str]) -> set[str]:
    """The families of these items of built-in suites."""
    of = {
        f"test_{name}[{case.pytest_id}]": case.family
        for name in names()
        for suite in load(name)
        for case, _ in cases_of(name, suite, tier="full", devices=["cpu"])
    }
    return {of[name.partition("::")[2]] for name in ids}


@pytest.mark.parametrize("selection", [("--tier", "quick"), ("-k", "einsum or tensor_ops or chain"), ("-m", "claims")])
def test_the_shards_together_are_the_suite(selection: tuple[str, ...]) -> None:
    whole = selected(*selection)
    shards = [selected(*selection, "--shard", f"{index}/3") for index in (1, 2, 3)]
    assert sorted(name for shard in shards for name in shard) == sorted(whole)
    assert all(shards)
    for index, one in enumerate(shards):
        assert one == [name for name in whole if name in set(one)], "a shard has the order of the suite"
        for other in shards[index + 1 :]:
            assert not families(one) & families(other)


def test_a_machine_with_a_gpu_has_the_same_shards_as_one_without(tmp_path: Path) -> None:
    (tmp_path / "with_gpu.py").write_text(WITH_GPU)
    for index in (1, 2):
        asked = ("--suite", "matmul", "--suite", "tensor_ops", "--shard", f"{index}/2")
        without = selected(*asked)
        gpu = selected(*asked, "-p", "with_gpu", PYTHONPATH=str(tmp_path))
        assert any("-cuda-" in name for name in gpu)
        assert {name for name in gpu if "-cuda-" not in name} == set(without)


def test_a_hash_seed_changes_nothing() -> None:
    asked = ("--suite", "tensor_ops", "--shard", "2/3")
    assert selected(*asked, PYTHONHASHSEED="1") == selected(*asked, PYTHONHASHSEED="2")


def test_auto_takes_the_variables_of_the_system() -> None:
    asked = ("--suite", "matmul")
    given = selected(*asked, "--shard", "2/2")
    assert given
    assert selected(*asked, "--shard", "auto", CI_NODE_INDEX="2", CI_NODE_TOTAL="2") == given


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict, str]]:  # type: ignore[type-arg]
    """A small suite of three families in four shards, by its own earlier run: each one's JSON and output."""
    folder = tmp_path_factory.mktemp("shards")
    common = ("--suite", SMALL, "--threads", "1", "--benchmark-json")
    done = pytest_bench(*common, str(folder / "whole.json"), "--budget", "6s")
    assert done.returncode == 0, done.stdout + done.stderr
    found = []
    for index in range(1, 5):
        path = folder / f"shard{index}.json"
        done = pytest_bench(
            *common, str(path), "--budget", "3s", "--shard", f"{index}/4", "--shard-by", str(folder / "whole.json")
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found.append((json.loads(path.read_text()), done.stdout))
    return found


def test_each_shard_measures_its_families_and_says_what_it_is(shards: list[tuple[dict, str]]) -> None:  # type: ignore[type-arg]
    ids = [[one["extra_info"]["torchduet"]["case"]["id"] for one in run["benchmarks"]] for run, _ in shards]
    assert sorted(case for of in ids for case in of) == [
        "small.add[n=1000] cpu eager fp32",
        "small.add[n=4000] cpu eager fp32",
        "small.sum[n=2000] once cpu eager fp32",
        "small.sum[n=2000] twice cpu eager fp32",
    ]
    about = [run["torchduet"]["options"] for run, _ in shards]
    assert [of["shard"] for of in about] == ["1/4", "2/4", "3/4", "4/4"]
    assert len({of["shard_plan"] for of in about}) == 1
    assert all("whole.json has the seconds of 3 of 3" in output for _, output in shards)


def test_a_shard_without_families_ends_well_and_has_a_file(shards: list[tuple[dict, str]]) -> None:  # type: ignore[type-arg]
    run, output = next((run, output) for run, output in shards if not run["benchmarks"])
    assert "there are only 3 families for 4 shards: nothing to measure in this one" in output
    assert run["torchduet"]["skipped"] == run["torchduet"]["failed"] == []
    from torchduet.bench.record.contract import check_run

    check_run(run["torchduet"])


def test_all_shards_merge_to_one_run_and_one_that_is_missing_is_named(shards: list[tuple[dict, str]]) -> None:  # type: ignore[type-arg]
    merging = pytest.importorskip("torchduet.bench.merge.merging")
    parts = [(f"shard{index}.json", run) for index, (run, _) in enumerate(shards, 1)]
    merged = merging.merged(parts)
    assert len(merged["benchmarks"]) == 4
    with pytest.raises(merging.MergeError, match="shard 2 of 4 is missing"):
        merging.merged([parts[0], *parts[2:]])


def test_a_shard_gets_its_part_of_the_tiers_budget() -> None:
    done = pytest_bench("--suite", SMALL, "--shard", "1/3", "--collect-only")
    assert "shard 1/3, " in done.stdout
    assert "budget its part of 1 min 30 s" in done.stdout
    assert "1 of 3 families" in done.stdout
    shares = re.search(r"shares of the time here: (\d+) %, (\d+) %, (\d+) %", done.stdout)
    assert shares is not None
    assert sum(map(int, shares.groups())) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--shard", "5/4"), "--shard '5/4': shards are numbered from 1 to 4"),
        (("--shard", "1/2", "--shard-by", "none.json"), "--shard-by none.json: No such file"),
        (("--shard-by", "run.json"), "--shard-by says how long families take"),
        (("--shard", "auto"), "--shard auto: none of CI_NODE_INDEX"),
        (("--shard", ""), "--shard"),
    ],
)
def test_a_shard_that_cannot_be_is_one_line(given: tuple[str, ...], why: str) -> None:
    done = pytest_bench("--collect-only", "--suite", SMALL, *given)
    assert done.returncode == 4
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_glob_for_profiles_may_match_cases_of_another_shard(tmp_path: Path) -> None:
    for index in (1, 2, 3):
        asked = ("--suite", SMALL, "--collect-only", "--shard", f"{index}/3")
        done = pytest_bench(*asked, "--profile=small.sum*", "--benchmark-json", str(tmp_path / "run.json"))
        assert done.returncode == 0, done.stderr
    done = pytest_bench("--suite", SMALL, "--collect-only", "--shard", "1/3", "--profile=nothing.*")
    assert done.returncode == 4


def test_the_file_of_the_earlier_run_is_not_overwritten_by_a_shard(shards: object, tmp_path: Path) -> None:
    del shards
    path = tmp_path / "run.json"
    path.write_text("{}")
    done = pytest_bench("--suite", SMALL, "--shard", "1/2", "--shard-by", str(path), "--benchmark-json", str(path))
    assert done.returncode == 4
    assert "is also the file of --benchmark-json" in done.stderr
    assert path.read_text() == "{}"


def test_a_shard_is_continued_as_the_same_shard_only(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    journal = tmp_path / "run.json.journal"
    asked = ["--suite", SMALL, "--budget", "40s", "--threads", "1", "--benchmark-json", str(run)]
    command = [sys.executable, "-m", "pytest", "bench/", *asked, "--shard", "1/3"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (journal.exists() and b'"kind":"family"' in journal.read_bytes()):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    other = pytest_bench(*asked, "--shard", "2/3", "--resume")
    assert other.returncode == 4
    assert "option shard: 1/3 there, 2/3 here" in other.stderr
    asked[3] = "40s"
    same = pytest_bench(*asked, "--shard", "1/3", "--resume", "--collect-only")
    assert same.returncode == 0, same.stdout + same.stderr
