"""A step in few runs is suspected, with its commit, and not more often than is said where nothing changed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from tests.reports.history_rates import NOISES, latest_rates, of_families, suspected_rates
from tests.reports.made_history import make_history
from torchduet.reports.history.collect import collect
from torchduet.reports.history.events import commits_of, events
from torchduet.reports.history.judge import judge
from torchduet.reports.history.judged import Judged
from torchduet.reports.history.rates import LATEST, SUSPECTED
from torchduet.reports.history.run_reports import beside
from torchduet.reports.history.series import histories
from torchduet.reports.history.suspicion import Latest, Others, others_of, outlying, strays, suspected
from torchduet.reports.history.words import command, headline, markdown

SQUARE = "matmul.square[n=512] cpu eager fp32"
QUIET = Others(0.01, 0.0, 20.0)
THRESHOLD = math.log1p(0.03)


def judged_of(folder: Path, document: Any, runs: int, since: int, factor: float = 1.8) -> Judged:
    make_history(folder, document, runs, slower=lambda run: {SQUARE: factor} if run >= since else {})
    (history,) = histories(collect(folder).runs)
    return judge(history, 0.03)


@pytest.mark.parametrize(
    ("runs", "since", "factor"), [(3, 1, 1.8), (4, 2, 1.8), (6, 3, 1.8), (9, 7, 1.8), (20, 18, 1.08)]
)
def test_two_runs_after_a_step_are_suspected_with_the_commit(
    shared_document: Any, tmp_path: Path, runs: int, since: int, factor: float
) -> None:
    one = judged_of(tmp_path, shared_document, runs, since, factor)
    (change,) = [change for change in one.suspicions() if change.what == "time"]
    assert (change.case.id, change.after, change.verdict) == (SQUARE, since, "slower")
    assert not [change for change in one.changes() if change.what == "time"]
    said = headline(one, events(one.changes()))
    assert said.startswith("matmul.square")
    assert "is suspected to be 1." in said
    assert f"times as slow since {since:07x}" in said


def test_commits_that_the_data_do_not_tell_apart_are_all_named(shared_document: Any, tmp_path: Path) -> None:
    """The run before the step lies in the middle between both levels, so that two commits made it, or an outlier."""
    slower = {11: 1.34, **dict.fromkeys(range(12, 20), 1.8)}
    make_history(tmp_path, shared_document, 20, slower=lambda run: {SQUARE: slower[run]} if run in slower else {})
    (history,) = histories(collect(tmp_path).runs)
    one = judge(history, 0.03)
    (change,) = [change for change in one.changes() if change.what == "time" and change.case.id == SQUARE]
    assert change.perhaps == (11, 12)
    said = headline(one, events(one.changes()))
    assert f"times as slow in steps from {11:07x} to {12:07x}" in said
    assert f"in steps from {11:07x} to {12:07x}" in markdown(one, SQUARE, [change])
    at_once = replace(change, gradual=False)
    assert commits_of(history, at_once) == f"with {11:07x} or {12:07x}"
    assert commits_of(history, replace(at_once, perhaps=(10, 11, 12))) == f"with one of {10:07x} to {12:07x}"
    assert commits_of(history, replace(change, perhaps=()), "since") == f"since {change.after:07x}"


def test_a_change_of_the_last_two_runs_is_dated_by_its_own_run(shared_document: Any, tmp_path: Path) -> None:
    for since in (16, 17, 18):
        folder = tmp_path / str(since)
        folder.mkdir()
        one = judged_of(folder, shared_document, 20, since)
        changes = [change for change in (*one.changes(), *one.suspicions()) if change.what == "time"]
        assert {change.after for change in changes if change.case.id == SQUARE} == {since}


def test_a_single_run_is_no_suspicion_but_is_named(shared_document: Any, tmp_path: Path) -> None:
    one = judged_of(tmp_path, shared_document, 5, 4)
    assert not one.suspicions()
    assert headline(one, []).startswith("The latest run of matmul.square")
    assert "another such run may make it suspected" in headline(one, [])


def test_without_a_step_nothing_is_suspected(shared_document: Any, tmp_path: Path) -> None:
    one = judged_of(tmp_path, shared_document, 6, 6)
    assert headline(one, []) == "No change is seen in 6 runs; small ones are found from 10 runs on"


def test_what_the_pilots_explain_is_not_suspected(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 6, machine=lambda run: 1.3 if run >= 3 else 1.0)
    (history,) = histories(collect(tmp_path).runs)
    assert judge(history, 0.03).suspicions() == []


def test_a_suspicion_becomes_a_change_with_further_runs(shared_document: Any, tmp_path: Path) -> None:
    one = judged_of(tmp_path, shared_document, 14, 11)
    assert SQUARE in {change.case.id for change in one.changes()}
    assert SQUARE not in {change.case.id for change in one.suspicions() if change.what == "time"}


def test_one_outlier_among_the_latest_is_no_step() -> None:
    values = np.array([0.0, 0.01, -0.01, 0.0, 0.6, 0.01])
    assert suspected(values, QUIET, 1, THRESHOLD) is None
    step = suspected(np.array([0.0, 0.01, -0.01, 0.0, 0.6, 0.61]), QUIET, 1, THRESHOLD)
    assert step is not None
    assert step.index == 4
    assert step.height.low < 0.6 < step.height.high


def test_two_runs_let_nothing_suspect() -> None:
    assert suspected(np.array([0.0, 1.0]), QUIET, 1, THRESHOLD) is None
    assert strays(np.array([0.0, 1.0]), QUIET, 1, THRESHOLD) == 0.0


def test_a_latest_run_is_named_unless_outliers_were_as_far_off_before() -> None:
    """Of 20 cases that vary by 1 %, one takes twice as long in its latest run; others did so before, or it did."""

    def named(*outliers: tuple[int, int], size: float = 0.75) -> list[str]:
        logs = np.random.default_rng(3).normal(0, 0.01, (20, 30))
        for case, run in outliers:
            logs[case, run] += size
        logs[0, -1] += math.log(2)
        return [case.id for case, _ in judge(of_families(logs), 0.03).strays()]

    assert named() == ["a.f0"]
    assert named((4, 7), size=0.3) == ["a.f0"], "smaller outliers"
    assert named((0, 7)) == [], "its own"
    assert named((4, 7), (9, 12), (13, 20)) == [], "three other cases"
    assert named((4, 7), (4, 12), (4, 20), size=0.6) == ["a.f0"], "smaller ones of another case"


def test_every_run_of_a_series_with_many_outliers_counts_once_among_all() -> None:
    quiet = [Latest(0.0, np.zeros(99), 0.04) for _ in range(18)]
    wild = Latest(0.0, np.array([1.2] * 30 + [0.0] * 69), 0.04)
    assert outlying([Latest(0.65, np.zeros(99), 0.04), wild, *quiet], 20)[0]
    assert not outlying([Latest(0.65, np.array([0.7] + [0.0] * 98), 0.04), wild, *quiet], 20)[0]
    each = [Latest(0.0, np.array([1.2] + [0.0] * 98), 0.04) for _ in range(18)]
    assert not outlying([Latest(0.65, np.zeros(99), 0.04), wild, *each], 20)[0]
    assert outlying([Latest(0.0, np.zeros(2), 0.04)], 1) == [False]


def test_published_rates_of_named_latest_runs_are_those_of_the_code() -> None:
    outliers = next(row for row in LATEST if "20th" in row.noise and row.runs == 30)
    assert latest_rates(outliers.noise, outliers.runs, 60, seed=7).false_alarms <= 0.15
    steady = next(row for row in LATEST if row.noise == "1 %" and row.runs == 6)
    found = latest_rates(steady.noise, steady.runs, 20, seed=7)
    assert (found.false_alarms, found.twofold) == (0.0, 1.0) == (steady.false_alarms, steady.twofold)
    assert all(row.false_alarms <= 0.05 for row in LATEST if row.runs > 3)
    assert all(row.twofold > 0.95 for row in LATEST if row.runs > 3 and "20th" not in row.noise)


def test_a_steps_own_series_does_not_make_the_others_noisy() -> None:
    rng = np.random.default_rng(1)
    series = [rng.normal(0, 0.01, 6) for _ in range(8)]
    series[0][3:] += 0.6
    assert all(others.deviation < 0.03 for others in others_of(series))


def test_published_rates_of_suspicions_are_those_of_the_code() -> None:
    for row in SUSPECTED[:2]:
        found = suspected_rates(row.noise, row.runs, 1000, seed=7)
        assert found.false_alarms <= row.false_alarms + 0.01
        assert found.thirty >= row.thirty - 0.15
    assert {row.noise for row in SUSPECTED} == set(NOISES)


def test_a_case_is_copied_as_markdown_and_as_a_command(shared_document: Any, tmp_path: Path) -> None:
    one = judged_of(tmp_path, shared_document, 6, 3)
    changes = [change for change in one.suspicions() if change.what == "time"]
    assert markdown(one, SQUARE, changes).startswith(f"- `{SQUARE}`: suspected +")
    assert command(one, changes) == "torchduet compare 0002.json 0003.json"
    assert command(one, []) == "torchduet compare 0000.json 0005.json"


def test_reports_that_lie_beside_runs_are_found_from_the_page(tmp_path: Path) -> None:
    nightly = tmp_path / "runs" / "a b"
    nightly.mkdir(parents=True)
    for name in ("1.json", "2.json", "1.html", "report.html"):
        (nightly / name).write_text("")
    alone = tmp_path / "runs" / "alone"
    alone.mkdir()
    (alone / "run.json").write_text("")
    (alone / "report.html").write_text("")
    paths = ["a b/1.json", "a b/2.json", "alone/run.json"]
    found = beside(tmp_path / "runs", paths, tmp_path / "pages" / "history.html")
    assert found == {"a b/1.json": "../runs/a%20b/1.html", "alone/run.json": "../runs/alone/report.html"}
    assert beside(tmp_path / "runs", paths, alone / "report.html") == {"a b/1.json": "../a%20b/1.html"}
