"""What happens to a run while it visits its families again: a visit is lost, never what was measured before."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_left_behind import Traces, until
from tests.faults.run import WORKLOADS, Bench, journaled, kept, records, timing

FAMILIES = ["revisited.early", "revisited.late", "revisited.middle"]
DIES = "revisited.middle"


@dataclass
class Revisited:
    """A run that was interrupted while it visited its families again, and was then resumed."""

    code: int
    output: str
    about: Any
    records: dict[str, Any]
    journaled: dict[str, Any]
    finished: Any
    in_the_end: dict[str, Any]
    left: bool


@pytest.fixture(scope="module")
def revisited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Revisited]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    traces, run = Traces(folder), tmp_path_factory.mktemp("revisited") / "run.json"
    traces.environment["TORCHDUET_TEST_FIRST"] = str(run.with_name("first"))
    bench = Bench(traces, run, suite=WORKLOADS / "revisited.py", budget="10m")
    bench.until_visits(5)
    bench.signal(signal.SIGINT)
    code, output = bench.end()
    about, first = json.loads(run.read_text())["torchduet"], records(run)
    in_journal = journaled(bench.journal)
    again = Bench(traces, run, "--resume", suite=WORKLOADS / "revisited.py", budget="10m")
    again.until_visits(8)
    again.signal(signal.SIGINT)
    again.end()
    finished, last = json.loads(run.read_text())["torchduet"], records(run)
    left = not until(lambda: not traces.processes(), 20)
    yield Revisited(code, output, about, first, in_journal, finished, last, left)
    shutil.rmtree(folder, ignore_errors=True)


def visits(records: dict[str, Any]) -> dict[str, int]:
    """Family → how often it was visited."""
    return {record["case"]["family"]: len(record["timing"]["visits"]) for record in records.values()}


def test_after_ctrl_c_during_later_visits_every_family_has_an_interval(revisited: Revisited) -> None:
    assert revisited.code == 128 + signal.SIGINT, revisited.output
    assert "Traceback" not in revisited.output
    assert revisited.about["stopped"] == "stopped by SIGINT"
    assert revisited.about["unreached"] == []
    assert sorted(visits(revisited.records)) == FAMILIES
    for record in revisited.records.values():
        for speedup in record["speedups"]:
            assert 0 < speedup["low"] <= speedup["ratio"] <= speedup["high"]
            assert speedup["interval"]["visits"] == len(speedup["visit_ratios"])
    assert max(visits(revisited.records).values()) > 1
    assert "give the same options and --resume" in revisited.output


def test_a_later_visit_whose_worker_dies_costs_only_itself_and_is_named(revisited: Revisited) -> None:
    assert visits(revisited.records)[DIES] == 1
    (warning,) = [line for line in revisited.about["warnings"] if "failed" in line]
    assert warning.startswith(f"{DIES}: visit 2 failed, so it gets no more: the worker was killed by SIGKILL")
    assert revisited.about["failed"] == []
    assert all(number > 1 for name, number in visits(revisited.records).items() if name != DIES)


def test_resumed_it_goes_on_with_further_visits_and_loses_none(revisited: Revisited) -> None:
    assert timing(revisited.records) == timing(revisited.journaled)
    assert kept(timing(revisited.records), timing(revisited.in_the_end))
    before, after = visits(revisited.records), visits(revisited.in_the_end)
    assert sum(after.values()) >= sum(before.values()) + 3
    assert after[DIES] == 1
    assert all(after[name] >= before[name] for name in FAMILIES)
    (resumed,) = revisited.finished["resumed"]
    assert resumed["families"] == len(FAMILIES)


def test_nothing_is_left_behind_by_visits(revisited: Revisited) -> None:
    assert not revisited.left
