"""Real runs of a small suite, merged: the union of two shards is the run, and a second run adds its visits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.merge.made_parts import about, copy, records
from torchduet.bench.merge.merging import merged
from torchduet.bench.record.schema import KEY
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json

SMALL = Path(__file__).parents[1] / "bench" / "workloads" / "small.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A run of the whole file, and one of its second half."""
    folder = tmp_path_factory.mktemp("real")
    found = []
    for name, cases in (("whole", "small.*"), ("half", "small.sum*")):
        path = folder / f"{name}.json"
        command = ["run", "--suite", str(SMALL), "--case", cases, "--budget", "4s", "--threads", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "torchduet", *command, "--benchmark-json", str(path), "--when-busy", "go"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=os.environ | {"PYTHONWARNINGS": ""},
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(json.loads(path.read_text("utf-8")))
    return found[0], found[1]


def shard_of(run: Any, workload: str, number: int) -> Any:
    """The run as if it had measured only the families of one workload."""
    shard = copy(run)
    shard["benchmarks"] = [one for one in shard["benchmarks"] if one["extra_info"][KEY]["case"]["workload"] == workload]
    shard[KEY]["options"] |= {"shard": f"{number}/2", "shard_plan": "0123abcd"}
    return shard


def test_the_union_of_its_shards_is_the_run(runs: tuple[Any, Any]) -> None:
    whole, _ = runs
    again = merged([(name, shard_of(whole, name, number)) for number, name in ((1, "add"), (2, "sum"))])
    assert set(records(again)) == set(records(whole))
    for name, record in records(again).items():
        assert record["timing"]["blocks"] == records(whole)[name]["timing"]["blocks"]
        assert record["timing"]["seconds"] == pytest.approx(records(whole)[name]["timing"]["seconds"])
        assert [of["ratio"] for of in record["speedups"]] == pytest.approx(
            [of["ratio"] for of in records(whole)[name]["speedups"]]
        )


def test_a_second_run_adds_its_visits(runs: tuple[Any, Any]) -> None:
    whole, half = runs
    both = merged([("half", half), ("whole", whole)])
    visits = {name: len(record["timing"]["visits"]) for name, record in records(both).items()}
    for name, record in records(whole).items():
        more = len(records(half)[name]["timing"]["visits"]) if name in records(half) else 0
        assert visits[name] == len(record["timing"]["visits"]) + more
        assert (more > 0) == name.startswith("small.sum")
    assert [part["cases"] for part in about(both)["parts"]] == [4, 2]
    page = render(from_json(json.loads(json.dumps(both))))
    assert "Measured in 2 runs on one machine" in page
