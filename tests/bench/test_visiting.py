"""A run visits every family once and then again and again, until all is precise or its time is used up."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.bench.made_visits import answer, family, first_records
from tests.bench.made_workers import Run, begin
from torchduet.bench.cases.exchange import Pace
from torchduet.bench.cases.outcome import Measured, Skipped
from torchduet.bench.plan.visits import LONE_VISITS, MAX_VISITS, MIN_VISITS, PRECISE_SPAN, PRECISE_VISITS
from torchduet.bench.record.contract import check_record
from torchduet.bench.run.visiting import Visiting, entries_of

PAIRS = """
for name in "abcdef":
    suite.compare(name, {"one": one, "two": two}, inputs=inputs, modes=["eager"])
"""
NAMES = [f"made.{name}" for name in "abcdef"]


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begins a run of six families."""
    return lambda **changes: begin(tmp_path, monkeypatch, changes.pop("workloads", PAIRS), **changes)


def speedups(run: Run) -> dict[str, Any]:
    """Family → its speed-up."""
    found = {}
    for record in run.session.records():
        check_record(record, record["case"]["id"])
        for speedup in record["speedups"]:
            found[record["case"]["family"]] = speedup
    return found


def test_every_family_is_visited_once_before_any_is_visited_again(pairs: Any) -> None:
    run = pairs()
    run.to_its_end()
    order = [name for name, _, _ in run.workers.visits]
    assert order[: len(NAMES)] == NAMES
    assert len(order) > MIN_VISITS * len(NAMES)
    assert all(one != following for one, following in itertools.pairwise(order))
    numbers: dict[str, list[int]] = {
        name: [number for of, number, _ in run.workers.visits if of == name] for name in NAMES
    }
    assert all(
        found == list(range(len(found))) for found in numbers.values()
    )  # each with inputs and an order of its own


def test_it_ends_with_its_budget(pairs: Any) -> None:
    run = pairs(budget=f"{PRECISE_SPAN:.0f}s")  # none is precise before
    run.to_its_end()
    budget = run.measuring.budget
    assert budget is not None
    assert budget.seconds_left() == pytest.approx(0.0, abs=0.05 * PRECISE_SPAN)
    assert run.measuring.progress.finished


def test_it_ends_early_once_all_is_precise(pairs: Any) -> None:
    run = pairs(budget="2h", beside=dict.fromkeys(NAMES, 5.0))
    run.to_its_end()
    assert all(PRECISE_VISITS <= number <= MAX_VISITS for number in run.workers.numbers().values())
    assert run.measuring.progress.elapsed() < 3600


def test_each_interval_rests_on_all_visits_to_its_family(pairs: Any) -> None:
    run = pairs()
    run.to_its_end()
    numbers = run.workers.numbers()
    for name, speedup in speedups(run).items():
        assert len(speedup["visit_ratios"]) == speedup["interval"]["visits"] == numbers[name]
        assert speedup["interval"]["prior"] == "run"
    for record in run.session.records():
        visits = record["timing"]["visits"]
        began = [at for name, _, at in run.workers.visits if name == record["case"]["family"]]
        assert [visit["at"] + 1000.0 for visit in visits] == pytest.approx(began, abs=0.2)
        assert sum(visit["placements"] for visit in visits) == len(record["timing"]["blocks"])
    about = run.session.run_record()["visits"]
    assert (about["fewest"], about["most"]) == (min(numbers.values()), max(numbers.values()))


def test_the_time_of_all_visits_is_in_the_runs_record(pairs: Any) -> None:
    run = pairs()
    run.to_its_end()
    seconds = run.session.run_record()["seconds"]
    assert seconds["timed"] == pytest.approx(0.5 * len(run.workers.visits))
    assert seconds["warming"] == pytest.approx(0.25 * len(run.workers.visits))


def test_a_first_visit_is_long_enough_to_say_what_is_too_slow_and_a_later_one_keeps_its_pace(pairs: Any) -> None:
    tasks = []
    run = pairs(before=tasks.append)
    run.to_its_end()
    assert all(task.paces is None and task.number == 0 for task in tasks[: len(NAMES)])
    later = tasks[len(NAMES) :]
    for task in later:
        first = next(one for one in tasks if one.family.name == task.family.name)
        assert task.share == first.share > task.seconds
        expected = answer(task.family, 0, seconds=run.workers.seconds)
        assert task.paces == {result.case: result.pace for result in expected.results}


def test_progress_says_which_visit_it_is_and_how_much_is_left_to_decide(pairs: Any) -> None:
    run, shown = pairs(), []
    run.measuring.progress.show = shown.append
    run.to_its_end()
    later = [line for line in shown if "visit " in line]
    assert len(later) == len(run.workers.visits) - len(NAMES)
    assert "visit 2 · " in later[0]
    assert "of 6 comparisons not precise · at most " in later[0]


CHEAP_ONES_LATE = """
for place in range(8):  # ten calls of half a second for each of two cases
    suite.compare(f"a{place}", {"one": one, "two": two}, inputs=inputs, modes=["eager"], call_seconds=0.5)
for place in range(8):
    suite.compare(f"z{place}", {"one": one, "two": two}, inputs=inputs, modes=["eager"])
"""


def test_families_with_late_names_are_measured_though_the_budget_is_too_short_for_all(pairs: Any) -> None:
    run = pairs(workloads=CHEAP_ONES_LATE, budget="40s", beside={f"made.a{place}": 8.0 for place in range(8)})
    run.to_its_end()
    numbers = run.workers.numbers()
    assert all(f"made.z{place}" in numbers for place in range(8))
    left_out = [name for name in (f"made.a{place}" for place in range(8)) if name not in numbers]
    assert 0 < len(left_out) < 8
    for family_of in run.measuring.progress.families:
        outcomes = [run.session.outcome(case) for case in family_of.reported]
        if family_of.name in left_out:
            assert all(isinstance(outcome, Skipped) and "too little was left" in outcome.reason for outcome in outcomes)
        else:
            assert all(isinstance(outcome, Measured) for outcome in outcomes)


def test_each_family_is_measured_once_though_items_come_in_another_order(pairs: Any) -> None:
    run = pairs(workloads=CHEAP_ONES_LATE, budget="40s", beside={f"made.a{place}": 8.0 for place in range(8)})
    families = run.measuring.progress.families
    run.session.outcome(families[0].reported[0])  # the first asked for is the last one measured
    measured = [name for name, number, _ in run.workers.visits if not number]
    assert measured == [f"made.z{place}" for place in range(8)] + ["made.a0"]
    run.to_its_end()
    firsts = [name for name, number, _ in run.workers.visits if not number]
    assert len(firsts) == len(set(firsts))
    assert [of.name for of, _ in run.measuring.progress.finished_families] == [*measured, *NAMES_OF_LONG[1:]]


NAMES_OF_LONG = [f"made.a{place}" for place in range(8)]


def test_a_visit_whose_worker_dies_costs_only_itself_and_is_named(pairs: Any) -> None:
    run = pairs(dies={"made.b": 2, "made.d": 1})
    run.to_its_end()
    numbers = run.workers.numbers()
    assert (numbers["made.b"], numbers["made.d"]) == (3, 2)  # the visits before, and the one that failed
    assert all(numbers[name] > MIN_VISITS for name in NAMES if name not in ("made.b", "made.d"))
    found = speedups(run)
    assert {name: len(found[name]["visit_ratios"]) for name in ("made.b", "made.d")} == {"made.b": 2, "made.d": 1}
    assert all(speedup["low"] is not None for speedup in found.values())
    warnings = [line for line in run.session.run_record()["warnings"] if "visit" in line]
    assert sorted(warnings) == [
        "made.b: visit 3 failed, so it gets no more: the worker was killed by SIGABRT",
        "made.d: visit 2 failed, so it gets no more: the worker was killed by SIGABRT",
    ]
    assert run.measuring.progress.finished
    assert not run.measuring.progress.stopped
    assert run.session.run_record()["failed"] == []


def test_a_family_whose_first_visit_failed_gets_no_other(pairs: Any) -> None:
    run = pairs(dies={"made.b": 0})
    run.to_its_end()
    assert run.workers.numbers()["made.b"] == 1
    assert "made.b" not in speedups(run)
    assert {entry["case"]["family"] for entry in run.session.run_record()["failed"]} == {"made.b"}


@pytest.mark.parametrize("after", [6, 7, 9, 15, 30])
def test_interrupted_during_later_visits_every_family_has_an_interval(pairs: Any, after: int) -> None:
    def stop(_: object) -> None:
        if len(run.workers.visits) == after + 1:
            run.session.stop_request.number = signal.SIGINT

    run = pairs(before=stop)
    run.to_its_end()
    assert len(run.workers.visits) == after + 1
    found = speedups(run)
    assert sorted(found) == NAMES
    for name, speedup in found.items():
        assert 0 < speedup["low"] < speedup["ratio"] < speedup["high"]
        assert len(speedup["visit_ratios"]) == run.workers.numbers()[name]
    about = run.session.run_record()
    assert about["stopped"] == "stopped by SIGINT"
    assert about["unreached"] == []
    assert not run.measuring.progress.finished  # it can be resumed
    stops = {record["timing"]["stop"] for record in run.session.records() if record["speedups"]}
    assert "budget" not in stops


def test_what_is_only_checked_is_visited_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    run = begin(tmp_path, monkeypatch, PAIRS)
    run.measuring.settings = replace(run.measuring.settings, check_only=True)
    run.to_its_end()
    assert run.workers.numbers() == dict.fromkeys(NAMES, 1)


def test_a_case_alone_is_visited_five_times(pairs: Any) -> None:
    run = pairs(workloads='suite.compare("a", {"one": one}, inputs=inputs, modes=["eager"])', budget="10m")
    run.to_its_end()
    assert run.workers.numbers() == {"made.a": LONE_VISITS}
    (record,) = run.session.records()
    assert record["timing"]["low"] < record["timing"]["seconds"] < record["timing"]["high"]


def first_visit(visiting: Visiting, name: str = "w") -> Any:
    """A family that was visited once."""
    of = family(name, "eager", "compile")
    paces = {case: Pace(1e-3, 1e-3, 1, 0, idle_waiting=False) for case in of.cases}
    visiting.add_first(of, paces, 8.0, 0.5, list(first_records(of).values()))
    return of


def test_the_first_visit_counts_as_one_though_two_speed_ups_are_against_the_same_case() -> None:
    visiting = Visiting()
    of = first_visit(visiting)
    (ratios,) = visiting.families["s.w"].speedups.values()
    assert len(ratios) == 1
    assert visiting.unclear() == (1, 1)
    for number in (1, 2):
        entries = {case.id: entry for case, entry in entries_of(of, answer(of, number)).items()}
        visiting.add("s.w", entries, 10.0 * number, 0.2)
    assert len(ratios) == visiting.families["s.w"].visited.number == 3


def test_a_family_of_which_nothing_was_timed_is_not_visited() -> None:
    visiting = Visiting()
    of = family("w", "eager", "compile")
    visiting.add_first(of, {}, 8.0, 0.5, [])
    reference_failed = {of.cases[1]: Pace(1e-3, 1e-3, 1, 0, idle_waiting=False)}
    visiting.add_first(of, reference_failed, 8.0, 0.5, list(first_records(of).values()))
    assert visiting.families == {}
    assert visiting.next(1e9) is None
    assert visiting.first_visit("s.w") is None


def test_later_visits_leave_out_the_cases_that_the_first_has_not_timed() -> None:
    visiting = Visiting()
    of = family("w", "eager", "compile", "compile-model")
    eager, compiled, failed = of.cases
    paces = {case: Pace(1e-3, 1e-3, 1, 0, idle_waiting=False) for case in (eager, compiled)}
    records = first_records(of, lacks=[failed])
    visiting.add_first(of, paces, 8.0, 0.5, list(records.values()))
    chosen = visiting.next(1e9)
    assert chosen is not None
    assert chosen.family.cases == chosen.family.reported == (eager, compiled)


def test_a_later_visit_with_long_calls_is_expected_to_make_two_of_each_beside_its_timing() -> None:
    pair = family("a", "eager", "compile")
    costs = []
    for seconds in (0.1, 3.0):
        visiting = Visiting()
        paces = {case: Pace(seconds, seconds, 1, 0, idle_waiting=False) for case in pair.cases}
        visiting.add_first(pair, paces, 60.0, 5.0, list(first_records(pair).values()))
        costs.append(visiting.families[pair.name].visited.beside)
    assert costs[1] - costs[0] == pytest.approx(2 * 2 * 3.0)  # of short ones the guess for any visit is enough
