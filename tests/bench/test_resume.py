"""What keeps two processes' records apart, and what a family's entry gives back."""

import json
import signal
from dataclasses import replace
from typing import Any

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Failed, Measured, Skipped
from torchduet.bench.host.child_processes import describe_exit
from torchduet.bench.plan.budget import Spent
from torchduet.bench.record.journal import Content, JournalError, decode, encode
from torchduet.bench.record.journal_events import (
    FamilyDone,
    FirstVisit,
    PaceEntry,
    PilotsTimed,
    RunLog,
    VisitDone,
    entry_of,
    read_log,
)
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed
from torchduet.bench.record.visits.entry import Ratio, VisitEntry
from torchduet.bench.run.outcomes import Outcomes, outcome_entry, outcome_of
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.resume import differences, spent_entry, spent_of

CASE = Case("s", "s", "w", "", (("n", 3),), "w", True, "cpu", "eager", "fp32")
HERE: dict[str, dict[str, Any]] = {
    "machine": {"cpu": "a CPU", "memory_bytes": 16_000_000_000, "gpu": None},
    "option": {"tier": "quick", "devices": ["cpu"], "threads": 2},
    "source": {"bench": "1234"},
    "selection": {"cases": ["one", "two", "three"]},
}


HEADER: dict[str, Any] = {"kind": "run", "format": 1, "identity": {}, "run": {}, "plan": []}


def family(**changes: Any) -> FamilyDone:
    """A family that is done, with some of its values."""
    values: dict[str, Any] = {"at": 1.0, "name": "s.w", "outcomes": {}, "spent": spent_entry(Spent()), "timed": None}
    return FamilyDone(**{**values, "warnings": [], "hints": [], **changes})


def logged(*events: Any) -> RunLog:
    """The log of a journal with these events, encoded and decoded."""
    entries = [decode(encode(entry_of(event))) for event in events]
    return read_log(Content(HEADER, tuple(entry for entry in entries if entry is not None), 0, 0), "it")


def back(event: FamilyDone) -> FamilyDone:
    """What its journal gives back."""
    (found,) = logged(event).finished()
    return found


def changed(kind: str, **values: Any) -> dict[str, dict[str, Any]]:
    return HERE | {kind: HERE[kind] | values}


def test_the_same_run_has_no_differences_even_after_a_restart() -> None:
    assert differences(HERE, json.loads(json.dumps(HERE))) == []
    assert differences(HERE, changed("machine", memory_bytes=15_990_000_000)) == []


def test_each_difference_is_named() -> None:
    assert differences(HERE, changed("machine", cpu="another", memory_bytes=8_000_000_000)) == [
        "machine cpu: a CPU there, another here",
        "machine memory_bytes: 16000000000 there, 8000000000 here",
    ]
    assert differences(HERE, changed("option", devices=["cpu", "cuda"])) == [
        "option devices: cpu there, cpu, cuda here"
    ]
    assert differences(HERE, changed("source", bench="5678")) == ["source bench: it has been edited"]
    assert differences(HERE, changed("selection", cases=["two", "three", "four"])) == [
        "selection: no longer selected: one",
        "selection: not selected there: four",
    ]
    assert differences(HERE, changed("selection", cases=["two", "one", "three"])) == [
        "selection: the same cases in another order"
    ]
    assert differences({}, {"option": {"tier": "full"}}) == ["option tier: none there, full here"]


def test_what_came_out_for_a_case_comes_back() -> None:
    record: Any = {"schema": 1, "timing": {"blocks": [[1.25e-6, 0.1 + 0.2]]}}
    for outcome in (Measured(record), Skipped("too slow"), Failed("s.w: it raised")):
        event = family(outcomes={CASE.id: outcome_entry(CASE, outcome)})
        assert outcome_of(back(event).outcomes[CASE.id]) == outcome


def test_what_a_family_cost_and_its_noise_come_back() -> None:
    spent = Spent(0.25, (1.5, 1.25), {"timed": 1.0}, ((CASE, 2.5),))
    entry = {"fixed": 0.25, "timing": [1.5, 1.25], "stages": {"timed": 1.0}, "slow": [[CASE.id, 2.5]], "again": False}
    event = family(spent=spent_entry(spent))
    assert json.loads(json.dumps(entry_of(event)))["spent"] == entry
    assert spent_of(back(event).spent, {CASE.id: CASE}) == spent
    seen = BlockSwitches(0.03, 12.5, loaders=False)
    timed = Timed(
        1.0, 2.5, Telemetry(1.5, others=0.25, virtual=True), 0.07, seen, {CASE.id: seen}, {"temperature": 0.5}
    )
    assert back(family(timed=timed)).timed == timed


def test_families_at_the_end_that_died_or_were_cut_short_are_tried_again() -> None:
    def ended(name: str, again: bool) -> FamilyDone:
        return family(name=name, spent=spent_entry(Spent(retry=again)))

    pilot = PilotsTimed(at=1.0, pilot={"at": 1.0, "before": "c", "seconds": {}})
    log = logged(ended("a", True), ended("b", False), pilot, ended("c", True), ended("d", True))
    assert [event.name for event in log.settled()] == ["a", "b"]
    assert [event.name for event in log.finished()] == ["a", "b", "c", "d"]


def test_families_of_which_a_process_was_killed_are_tried_again_wherever_they_are() -> None:
    def failed(name: str, reason: str) -> FamilyDone:
        return family(name=name, outcomes={CASE.id: outcome_entry(CASE, Failed(reason))})

    killed = f"s.w: the worker {describe_exit(-signal.SIGKILL)}\nIts last output:\nx"
    log = logged(failed("a", killed), failed("b", f"rank 1 {describe_exit(-signal.SIGKILL)}"), failed("c", "it raised"))
    assert [event.name for event in log.settled()] == ["c"]
    aborted = failed("d", f"s.w: the worker {describe_exit(-signal.SIGABRT)}")
    assert [event.name for event in logged(aborted, family(name="e")).settled()] == ["d", "e"]


def test_a_later_visit_belongs_to_the_measurement_of_its_family_before_it() -> None:
    def visit(name: str, began: float) -> VisitDone:
        return VisitDone(at=began, name=name, began=began, took=0.5, timing=0.25, cases={}, stages={}, timed=None)

    # The line of the first measurement of "b" is damaged, and so is that of "c": "b" was measured again.
    log = logged(
        *(family(name="a", at=1.0), visit("a", 2.0), visit("b", 3.0), visit("c", 4.0)),
        *(family(name="b", at=5.0), visit("a", 6.0), visit("b", 7.0)),
    )
    assert [(event.name, event.began) for event in log.visits(log.finished())] == [("a", 2.0), ("a", 6.0), ("b", 7.0)]
    assert [event.name for event in log.visits(log.finished()[:1])] == ["a", "a"]
    assert log.visits([]) == []


def test_what_later_visits_need_and_what_they_found_come_back() -> None:
    pace = PaceEntry(seconds=1e-3, pacing_seconds=2e-3, calls=7, warm_up_calls=3, idle_waiting=True)
    visits = FirstVisit(began=0.5, share=4.0, paces={CASE.id: pace})
    assert back(family(visits=visits)).visits == visits
    assert back(family()).visits is None  # of a family of which nothing was timed, or by a writer without visits
    entry = VisitEntry(
        blocks=[[1e-3, 0.1 + 0.2]], ratios=[Ratio(of="other", ratio=1.1, error=None)], notes=["it waits"]
    )
    event = VisitDone(
        at=9.0, name="s.w", began=8.0, took=0.5, timing=0.25, cases={CASE.id: entry}, stages={"timed": 0.2}, timed=None
    )
    assert logged(family(), event).events[1] == event


def test_kinds_of_events_and_keys_of_a_later_writer_are_passed_over() -> None:
    entries = ({"kind": "weather", "at": 1.0, "rain": True}, {**entry_of(family(name="a")), "mood": "good"})
    log = read_log(Content(HEADER, entries, 0, 0), "it")
    assert [event.name for event in log.finished()] == ["a"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spent": 7}, r"it is a journal whose entries are not those of a run \(2: .*\$.spent"),
        ({"at": None}, r"\$.at"),
        ({"outcomes": {"s.w": {}}}, "expected one of record, skipped, failed"),
    ],
)
def test_an_event_that_is_not_what_its_kind_says_is_refused_by_its_key(change: dict[str, Any], says: str) -> None:
    with pytest.raises(JournalError, match=says):
        read_log(Content(HEADER, ({**entry_of(family()), **change},), 0, 0), "it")


def test_a_case_without_an_outcome_is_a_missing_key() -> None:
    outcomes = Outcomes()
    outcomes[CASE] = Skipped("too slow")
    with pytest.raises(KeyError):
        outcomes[replace(CASE, mode="compile")]


def test_three_workloads_in_a_row_whose_workers_die_end_the_run_unless_they_died_before_it_was_resumed() -> None:
    def dying(*workloads: str) -> list[Any]:
        cases = [replace(CASE, workload=workload) for workload in workloads]
        return [Family((case,), (case,)) for case in cases]

    progress, families = Progress(), dying("u", "v", "v", "w")
    stopped = []
    for one in families:
        progress.count_death(one)
        stopped.append(bool(progress.stopped))
    assert stopped == [False, False, False, True]
    again = Progress(killed_before=frozenset(one.name for one in families))
    for one in (*families, *dying("x", "y")):
        again.count_death(one)
    assert not again.stopped
