"""A history names every commit that a change may have come with, and a latest run that is far off its level."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from tests.reports.made_history import make_history
from torchduet.bench.record.schema import KEY
from torchduet.reports.history import changes
from torchduet.reports.history.changes import Noise
from torchduet.reports.history.collect import Collection, collect
from torchduet.reports.history.events import events
from torchduet.reports.history.judge import judge
from torchduet.reports.history.judged import TIME, Judged
from torchduet.reports.history.page import render
from torchduet.reports.history.series import histories
from torchduet.reports.history.text import terminal
from torchduet.reports.history.words import command, headline, markdown

SQUARE = "matmul.square[n=512] cpu eager fp32"


def judged_of(
    folder: Path, document: Any, runs: int, times: Callable[[int], float], missing: Sequence[int] = (), **more: Any
) -> tuple[Collection, Judged]:
    """A history in which one case takes so many times as long by run, and is not in some of the runs."""
    paths = make_history(folder, document, runs, slower=lambda run: {SQUARE: times(run)}, **more)
    for run in missing:
        made = json.loads(paths[run].read_text())
        made["benchmarks"] = [one for one in made["benchmarks"] if one["extra_info"][KEY]["case"]["id"] != SQUARE]
        paths[run].write_text(json.dumps(made))
    collection = collect(folder)
    (history,) = histories(collection.runs)
    return collection, judge(history, 0.03)


def said_of(collection: Collection, one: Judged) -> tuple[str, str, str]:
    """The title, the terminal, and the page without its tags."""
    page = re.sub(r"<(script|style).*?</\1>|<[^>]*>", "", render(collection, [one], 0.03), flags=re.S)
    return headline(one, events(one.changes())), terminal(collection, [one]), page


@pytest.mark.parametrize(
    ("missing", "named"),
    [([12], "000000c or 000000d"), ([12, 13], "one of 000000c to 000000e"), ([11], "000000b or 000000c")],
)
def test_a_run_without_the_case_may_be_the_one_of_the_change(
    shared_document: Any, tmp_path: Path, missing: list[int], named: str
) -> None:
    collection, one = judged_of(tmp_path, shared_document, 24, lambda run: 1.2 if run >= 12 else 1.0, missing)
    (change,) = [change for change in one.changes() if change.what == TIME and change.case.id == SQUARE]
    title, lines, page = said_of(collection, one)
    assert title.endswith(f"times as slow with {named}")
    assert title in lines
    assert title in page
    assert f"with {named}" in markdown(one, SQUARE, [change])
    first, last = min(12, *missing), max(12, missing[-1] + 1)
    assert change.perhaps == tuple(range(first, last + 1))
    assert command(one, [change]) == f"torchduet compare {first - 1:04}.json {last:04}.json"
    assert "1 slower, 3 speed-ups changed" in lines  # what did measure the run dates all of them
    assert f"may lie {last - first} run" in lines


def test_a_suspected_change_may_have_come_with_a_run_without_the_case(shared_document: Any, tmp_path: Path) -> None:
    collection, one = judged_of(tmp_path, shared_document, 5, lambda run: 1.8 if run >= 2 else 1.0, [2])
    title, lines, page = said_of(collection, one)
    assert title.endswith("times as slow since 0000002 or 0000003")
    for text in (lines, page):
        assert re.search(re.escape(SQUARE) + r": \+\d+ % since 0000002 or 0000003", text)


@pytest.mark.parametrize(
    ("times", "named"),
    [
        (lambda run: 1.05 ** min(max(run - 11, 0), 4), "000000c to 000000f"),
        (lambda run: 1.05 ** min(max(run - 11, 0), 3), "000000c to 000000e"),
        (lambda run: 1.0 if run < 12 else 1.1 if run == 12 else 1.43, "000000c to 000000d"),
    ],
)
def test_small_changes_one_after_another_are_none_of_one_commit(
    shared_document: Any, tmp_path: Path, times: Callable[[int], float], named: str
) -> None:
    collection, one = judged_of(tmp_path, shared_document, 24, times)
    (change,) = [change for change in one.changes() if change.what == TIME and change.case.id == SQUARE]
    title, lines, page = said_of(collection, one)
    assert title.endswith(f"times as slow in steps from {named}")
    for text in (lines, page):
        assert title in text
        assert f"11 runs since; in steps from {named}" in text or f"10 runs since; in steps from {named}" in text
        assert re.search(r"1 slower, \d speed-ups? changed\s+in steps from 0012\.json", text)
    assert f"in steps from {named}" in markdown(one, SQUARE, [change])


def test_a_suspected_change_may_be_gradual_too(shared_document: Any, tmp_path: Path) -> None:
    _, one = judged_of(tmp_path, shared_document, 7, lambda run: 1.0 if run < 4 else 1.1 if run == 4 else 1.43)
    assert headline(one, []).endswith("times as slow in steps from 0000004 to 0000005")


def test_a_change_of_one_commit_is_named_with_it_alone(shared_document: Any, tmp_path: Path) -> None:
    _, one = judged_of(tmp_path, shared_document, 24, lambda run: 1.2 if run >= 12 else 1.0)
    assert headline(one, events(one.changes())).endswith("times as slow with 000000c")


@pytest.mark.parametrize("runs", [5, 12, 24])
def test_a_latest_run_far_off_its_level_is_named_with_any_number_of_runs(
    shared_document: Any, tmp_path: Path, runs: int
) -> None:
    collection, one = judged_of(tmp_path, shared_document, runs, lambda run: 1.5 if run == runs - 1 else 1.0)
    title, lines, page = said_of(collection, one)
    name = f"latest run of matmul.square[n=512] eager fp32, {runs - 1:07x}, took 1."
    assert name in title
    assert "another such run may make it suspected" in title
    assert ("No case became slower or faster" in title) is (runs >= 10)
    assert lines.count(name) == 1
    assert title in page.partition("Every case")[0]
    assert re.search(r"no change, in \d+ runs; its latest run is \+\d\d % off its level$", markdown(one, SQUARE, []))
    # And another such run does make it suspected, as no earlier run is off.
    (tmp_path / "more").mkdir()
    _, more = judged_of(tmp_path / "more", shared_document, runs + 1, lambda run: 1.5 if run >= runs - 1 else 1.0)
    assert SQUARE in {change.case.id for change in more.suspicions() if change.what == TIME}


def test_a_latest_run_off_is_said_beside_a_change_and_of_the_run_that_measured_the_case(
    shared_document: Any, tmp_path: Path
) -> None:
    def times(run: int) -> float:
        return 1.0 if run < 12 else 1.2 if run < 22 else 2.0

    collection, one = judged_of(tmp_path, shared_document, 24, times, [23])
    title, lines, page = said_of(collection, one)
    assert title.endswith("times as slow with 000000c")
    said = f"The latest run of matmul.square[n=512] eager fp32, {22:07x}, took 1."
    assert said in lines
    assert said in page.partition("Every case")[0].partition("Changes")[0]
    chart = re.search(r'<h2 id="glance-h">(.*?)</h2>', render(collection, [one], 0.03))
    assert chart is not None
    assert re.sub("<[^>]*>", "", chart[1]) == SQUARE  # the case of the title, not one of its speed-ups


def test_a_latest_run_that_the_pilots_explain_is_not_named(shared_document: Any, tmp_path: Path) -> None:
    families = shared_document["benchmarks"]
    one_family = {**shared_document, "benchmarks": [one for one in families if one["name"].startswith("matmul.square")]}
    for runs in (6, 14):
        folder = tmp_path / str(runs)
        folder.mkdir()
        make_history(folder, one_family, runs, machine=lambda run, last=runs - 1: 1.5 if run == last else 1.0)  # type: ignore[misc]
        (history,) = histories(collect(folder).runs)
        assert np.isfinite(history.seconds).all()
        assert judge(history, 0.03).strays() == []


def test_a_correlation_that_is_high_by_chance_leaves_no_doubt_on_a_large_step() -> None:
    """Ten runs at two levels that differ by 29 deviations of neighbouring runs: their correlation came out as 0.9."""
    values = np.log([240.0, 241, 243, 253, 241, 242, 573, 577, 583, 573])
    noise = Noise(0.03 / math.sqrt(1 - 0.9) / math.sqrt(2), 0.9)
    assert changes.whereabouts(values, 6, noise) == (0, 0, False)
