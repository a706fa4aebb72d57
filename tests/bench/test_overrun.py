"""A run that took much longer than its budget says so, and what took the time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.made_workers import Run, begin
from torchduet.bench.plugin import closing
from torchduet.bench.record.words.overrun import overrun

PAIR = 'suite.compare("a", {"one": one, "two": two}, inputs=inputs, modes=["eager"])\n'


def seconds(total: float, **stages: float) -> dict[str, float]:
    return {"total": total, "startup": 0.0, "compiling": 0.0, "timed": 0.0, "checking": 0.0, "warming": 0.0} | stages


def test_the_stages_that_took_most_are_named_the_longest_first() -> None:
    assert overrun(20.0, seconds(43.0, compiling=13.1, checking=8.2, warming=1.9, timed=2.0)) == (
        "the budget of 20 s was overrun by 23 s: compiling took 13 s, checking results 8 s, timing 2 s"
    )
    assert overrun(20.0, seconds(43.0, compiling=30.0)) == (
        "the budget of 20 s was overrun by 23 s: compiling took 30 s"
    )


def test_nothing_is_said_up_to_a_quarter_of_the_budget() -> None:
    assert overrun(20.0, seconds(25.0, compiling=25.0)) is None
    assert overrun(20.0, seconds(25.1, compiling=25.0)) is not None


@pytest.mark.parametrize("stage", ["startup", "importing", "profiling", "warm_starting"])
def test_what_a_budget_does_not_cover_is_no_part_of_it(stage: str) -> None:
    assert overrun(20.0, seconds(80.0, **{stage: 55.0})) is None
    assert overrun(20.0, seconds(81.0, **{stage: 55.0})) is not None


def test_time_for_which_the_run_was_suspended_is_no_part_of_it() -> None:
    assert overrun(20.0, seconds(80.0), suspended=55.0) is None


def test_where_no_stage_took_long_the_rest_is_the_reason() -> None:
    assert overrun(20.0, seconds(30.0, compiling=1.9)) == (
        "the budget of 20 s was overrun by 10 s: processes and passes beside the timing took the time"
    )


def written(run: Run, duet: Any = None) -> list[str]:
    """The closing lines of a run on the terminal."""
    lines: list[str] = []
    writer = SimpleNamespace(hasmarkup=False, markup=lambda words, **_: words)
    config = SimpleNamespace(get_terminal_writer=lambda: writer)
    reporter: Any = SimpleNamespace(section=lambda *_, **__: None, write_line=lines.append, config=config)
    closing.write(reporter, run.session, None, duet)
    return [line for line in lines if "was overrun" in line]


def test_the_closing_lines_say_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = begin(tmp_path, monkeypatch, PAIR, budget="10s", beside={"made.a": 40.0})
    late.to_its_end()
    record = late.session.run_record()
    late.workers.clock.now += 60.0  # for writing it
    (line,) = written(late)
    assert line == overrun(10.0, record["seconds"])  # type: ignore[arg-type]
    in_time = begin(tmp_path, monkeypatch, PAIR, budget="10s", beside={"made.a": 1.0})
    in_time.to_its_end()
    assert written(in_time) == []


def test_a_run_that_ended_before_its_first_family_has_overrun_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tmp_path, monkeypatch, PAIR, budget="10s")
    run.workers.clock.now += 100.0
    assert written(run) == []
