"""A run that took much longer than its budget says so, and what took the time."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.made_workers import Run, begin
from torchduet.bench.plugin import closing
from torchduet.bench.record.units import short_duration
from torchduet.bench.record.words.overrun import overrun

PAIR = 'suite.compare("a", {"one": one, "two": two}, inputs=inputs, modes=["eager"])\n'


def seconds(total: float, **stages: float) -> dict[str, float]:
    return {"total": total, "startup": 0.0, "compiling": 0.0, "timed": 0.0, "checking": 0.0, "warming": 0.0} | stages


def test_the_stages_that_explain_the_overrun_are_named_the_longest_first() -> None:
    assert overrun(20.0, seconds(43.0, checking=8.2, compiling=14.1, warming=1.7, timed=19.0)) == (
        "the budget of 20 s was overrun by 23 s: compiling took 14 s, checking results 8.2 s"
    )


def test_a_stage_is_not_named_if_longer_ones_explain_the_overrun() -> None:
    assert overrun(20.0, seconds(43.0, compiling=30.0, checking=8.0)) == (
        "the budget of 20 s was overrun by 23 s: compiling took 30 s"
    )


def test_timing_is_a_cause_only_if_it_took_longer_than_the_budget() -> None:
    assert overrun(20.0, seconds(40.0, timed=20.0, checking=20.0)) == (
        "the budget of 20 s was overrun by 20 s: checking results took 20 s"
    )
    assert overrun(20.0, seconds(50.0, timed=48.0)) == "the budget of 20 s was overrun by 30 s: timing took 48 s"


def test_no_cause_takes_no_time() -> None:
    """Budgets of a few seconds: what is in no stage took the time."""
    assert overrun(3.0, seconds(5.2, timed=0.31, warming=0.02)) == (
        "the budget of 3 s was overrun by 2.2 s: starting processes and other work took 4.9 s"
    )
    assert overrun(0.5, seconds(3.0, timed=0.04, compiling=1.41, checking=0.24)) == (
        "the budget of 0.5 s was overrun by 2.5 s: compiling took 1.4 s, starting processes and other work 1.3 s"
    )


@pytest.mark.parametrize("budget", [0.1, 0.5, 3.0, 20.0, 600.0])
@pytest.mark.parametrize("over", [2.0, 7.0, 400.0])
@pytest.mark.parametrize("timed", [0.0, 0.3, 0.99, 1.5])
def test_the_causes_together_are_most_of_the_overrun(budget: float, over: float, timed: float) -> None:
    if over <= budget / 4:
        return
    parts = {"compiling": 0.45, "checking": 0.3, "warming": 0.17, "starting": 0.05}
    took = {"timed": timed * budget, **{stage: share * over for stage, share in parts.items()}}
    sentence = overrun(budget, seconds(budget + over, **took))
    assert sentence is not None
    _, causes = sentence.split(": ")
    assert " 0 s" not in sentence
    assert sum(map(in_seconds, causes.split(", "))) >= 0.75 * over


def in_seconds(words: str) -> float:
    """What a text says at its end: ``1 min 20 s``."""
    found = re.search(r"(?:(\d+) min ?)?(?:([\d.]+) s)?$", words)
    assert found is not None
    return 60 * float(found[1] or 0) + float(found[2] or 0)


def test_nothing_is_said_up_to_a_quarter_of_the_budget() -> None:
    assert overrun(20.0, seconds(25.0, compiling=25.0)) is None
    assert overrun(20.0, seconds(25.1, compiling=25.0)) is not None


def test_nothing_is_said_below_two_seconds() -> None:
    assert overrun(2.0, seconds(3.9, compiling=3.9)) is None
    assert overrun(2.0, seconds(4.0, compiling=3.9)) is not None


@pytest.mark.parametrize("stage", ["startup", "importing", "profiling", "warm_starting"])
def test_what_a_budget_does_not_cover_is_no_part_of_it(stage: str) -> None:
    assert overrun(20.0, seconds(80.0, **{stage: 55.0})) is None
    assert overrun(20.0, seconds(81.0, **{stage: 55.0})) is not None


def test_time_for_which_the_run_was_suspended_is_no_part_of_it() -> None:
    assert overrun(20.0, seconds(80.0), suspended=55.0) is None


def test_where_no_stage_took_long_the_rest_is_the_reason() -> None:
    assert overrun(20.0, seconds(30.0, compiling=1.9)) == (
        "the budget of 20 s was overrun by 10 s: starting processes and other work took 28 s"
    )


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0.04, "0.04 s"),
        (0.5, "0.5 s"),
        (1.44, "1.4 s"),
        (3.0, "3 s"),
        (9.96, "10 s"),
        (23.4, "23 s"),
        (80, "1 min 20 s"),
    ],
)
def test_a_short_duration_has_two_significant_digits(length: float, words: str) -> None:
    assert short_duration(length) == words


def test_a_budget_below_a_second_is_not_zero_where_cases_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tmp_path, monkeypatch, PAIR, budget="0.5s")
    assert "the run's budget of 0.5 s" in run.measuring.out_of_budget()


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
