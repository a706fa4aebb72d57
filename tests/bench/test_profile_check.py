"""Runs with and without ``--profile`` held against each other: the table, and what fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torchduet.bench.record.schema import KEY
from torchduet.bench.selfcheck.profiling import RunFailed, run_pairs, table, verdict


def run(path: Path, **seconds: float) -> Path:
    """A run's file as far as the table reads it: case's id → seconds per call."""
    benchmarks = [
        {"extra_info": {KEY: {"case": {"id": case}, "timing": {"seconds": value}}}} for case, value in seconds.items()
    ]
    path.write_text(json.dumps({"benchmarks": [*benchmarks, {"extra_info": {}}]}), "utf-8")
    return path


def test_each_case_is_held_against_itself_pair_by_pair(tmp_path: Path) -> None:
    pairs = [
        (run(tmp_path / "p1", a=1.0, b=2.0, once=1.0), run(tmp_path / "q1", a=1.1, b=2.0)),
        (run(tmp_path / "p2", a=2.0, b=2.0), run(tmp_path / "q2", a=2.0, b=2.0)),
        (run(tmp_path / "p3", a=2.0, b=2.0), run(tmp_path / "q3", a=1.8, b=2.0)),
    ]
    _, _, first, second, whole = table(pairs)
    assert first.split() == ["a", "1.000", "0.900", "1.100", "1.500", "1.000", "2.000"]
    assert second.split() == ["b", *["1.000"] * 6]
    assert whole.split()[-1] == "1.000"


def test_a_single_pair_has_nothing_beside_it(tmp_path: Path) -> None:
    rows = table([(run(tmp_path / "p", a=1.0), run(tmp_path / "q", a=1.5))])
    assert rows[2].split() == ["a", "1.500", "1.500", "1.500"]


def test_where_no_case_was_measured_in_all_runs_there_is_no_table(tmp_path: Path) -> None:
    assert table([(run(tmp_path / "p", a=1.0), run(tmp_path / "q", b=1.0))]) == [
        "no case was measured in all runs; raise --budget"
    ]


def test_a_run_that_writes_nothing_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"(?s)-1\.json: was not written.*no-such-option"):
        next(run_pairs(tmp_path / "runs", 1, ["--no-such-option"]))


def test_what_cannot_be_compared_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no such file"):
        verdict(tmp_path / "p", tmp_path / "q")
