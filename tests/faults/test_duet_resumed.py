"""A duet that is interrupted or killed goes on with further pairs; no pair is lost, and only the same sides go on."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_left_behind import ROOT, Traces, until
from tests.faults.run import Bench, journaled, kept, records, timing

FAMILIES = ["small.add[n=1000]", "small.add[n=4000]", "small.sum[n=2000]"]
SIDES = ("--against-env", "SIDED=1")


@dataclass
class Resumed:
    """A duet that was interrupted, killed, refused with another side, and continued."""

    code: int
    output: str
    about: Any
    records: dict[str, Any]
    journaled: dict[str, Any]
    refused: str
    page: str
    killed: dict[str, Any]
    finished: Any
    in_the_end: dict[str, Any]
    left: bool


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resumed]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    traces, run = Traces(folder), tmp_path_factory.mktemp("duet") / "run.json"
    bench = Bench(traces, run, *SIDES, budget="10m")
    bench.until_visits(4)
    bench.signal(signal.SIGINT)
    code, output = bench.end()
    about, first, in_journal = json.loads(run.read_text())["torchduet"], records(run), journaled(bench.journal)
    other = Bench(traces, run, "--resume", "--against-env", "SIDED=2", budget="10m")
    _, refused = other.end()
    page = run.with_name("run.html")
    render = [sys.executable, "-m", "torchduet", "render", str(bench.journal), "-o", str(page)]
    subprocess.run(render, cwd=ROOT, check=True, capture_output=True)
    again = Bench(traces, run, "--resume", *SIDES, budget="10m")
    again.until_visits(6)
    again.signal(signal.SIGKILL)
    again.end()
    killed = journaled(again.journal)
    last = Bench(traces, run, "--resume", *SIDES, budget="10m")
    last.until_visits(8)
    last.signal(signal.SIGTERM)
    last.end()
    finished, in_the_end = json.loads(run.read_text())["torchduet"], records(run)
    left = not until(lambda: not traces.processes(), 20)
    yield Resumed(code, output, about, first, in_journal, refused, page.read_text(), killed, finished, in_the_end, left)
    shutil.rmtree(folder, ignore_errors=True)


def test_after_ctrl_c_every_family_that_has_a_pair_has_an_answer(resumed: Resumed) -> None:
    assert resumed.code == 128 + signal.SIGINT, resumed.output
    assert "Traceback" not in resumed.output
    assert resumed.about["stopped"] == "stopped by SIGINT"
    assert resumed.about["unreached"] == []
    assert sorted({record["case"]["family"] for record in resumed.records.values()}) == FAMILIES
    for record in resumed.records.values():
        against = record["against"]
        assert against["pairs"] == len(against["pair_ratios"]) == len(record["timing"]["visits"]) >= 1
        assert against["pairs"] == 1 or 0 < against["low"] <= against["ratio"] <= against["high"]
    assert "give the same options and --resume" in resumed.output


def test_a_duet_goes_on_with_further_pairs_and_loses_none(resumed: Resumed) -> None:
    assert timing(resumed.records) == timing(resumed.journaled)
    assert kept(timing(resumed.records), timing(resumed.killed))
    assert kept(timing(resumed.killed), timing(resumed.in_the_end))
    first, last = ({name: of["against"] for name, of in run.items()} for run in (resumed.records, resumed.in_the_end))
    assert kept(*({name: of["blocks"] for name, of in run.items()} for run in (first, last)))
    assert sum(of["pairs"] for of in last.values()) >= sum(of["pairs"] for of in first.values()) + 3
    assert len(resumed.finished["resumed"]) == 2
    assert resumed.finished["against"]["base"]["env"] == {"SIDED": "1"}


def test_another_side_is_not_taken_for_the_one_before(resumed: Resumed) -> None:
    assert "is of another run" in resumed.refused
    assert "named side env: SIDED=1 there, SIDED=2 here" in resumed.refused


def test_the_journal_of_a_duet_is_rendered_as_it_is(resumed: Resumed) -> None:
    assert "with against without" in resumed.page
    assert "pairs of fresh processes" in resumed.page


def test_nothing_is_left_behind_by_a_duet(resumed: Resumed) -> None:
    assert not resumed.left
