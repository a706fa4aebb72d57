"""A family's outcomes are the same whether later visits find them in memory, compressed or in the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.bench.made_visits import UNDECLARED, answer, entries, family, visited_records
from torchduet.bench.cases.case import Case
from torchduet.bench.cases.outcome import Failed, Measured, Skipped
from torchduet.bench.plan.budget import Spent
from torchduet.bench.record.journal import Journal, Span
from torchduet.bench.record.journal_events import FamilyDone, entry_of
from torchduet.bench.record.visits.entry import VisitEntry
from torchduet.bench.run.outcomes import Outcomes, outcome_entry
from torchduet.bench.run.records import records
from torchduet.bench.run.resume import spent_entry

OF = family("w", "eager", "compile")
EAGER, COMPILED = OF.cases
EXPECTED = visited_records(OF, 3)


@pytest.fixture(params=["memory", "compressed", "journal"])
def outcomes(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A family after its first visit."""
    found = Outcomes()
    found.update(records(OF, answer(OF, 0), UNDECLARED))
    if request.param == "compressed":
        found.store(OF.reported)
    if request.param == "journal":
        journal, span = journaled(found, tmp_path)
        found.store(OF.reported, journal, span)
    return found


def journaled(outcomes: Outcomes, folder: Path) -> tuple[Journal, Span]:
    """A journal with the family's event, and its position."""
    journal = Journal.create(folder / "run.json.journal", {})
    by_case = {case.id: outcome_entry(case, outcomes[case]) for case in OF.reported}
    event = FamilyDone(
        at=1.0, name=OF.name, outcomes=by_case, spent=spent_entry(Spent()), timed=None, warnings=[], hints=[]
    )
    span = journal.append(entry_of(event))
    assert span is not None
    return journal, span


def later(number: int, **changes: Any) -> dict[Case, VisitEntry]:
    found = entries(OF, number, **changes)
    return {case: found[case.id] for case in OF.cases if case.id in found}


def test_later_visits_are_in_its_records(outcomes: Outcomes) -> None:
    outcomes.add_visit(later(1), 10.0)
    outcomes.add_visit(later(2), 20.0)
    for case in OF.cases:
        assert outcomes[case] == Measured(EXPECTED[case.id])


def test_they_are_added_whether_or_not_it_was_read_meanwhile(outcomes: Outcomes) -> None:
    outcomes.add_visit(later(1), 10.0)
    assert outcomes[EAGER] == Measured(visited_records(OF, 2)[EAGER.id])
    outcomes.add_visit(later(2), 20.0)
    for case in OF.cases:
        assert outcomes[case] == Measured(EXPECTED[case.id])


def test_a_case_that_failed_in_a_visit_stays_as_it_was(outcomes: Outcomes) -> None:
    outcomes.add_visit(later(1, lacks=[COMPILED]), 10.0)
    found = {case: outcomes[case] for case in OF.cases}
    assert found[COMPILED] == Measured(visited_records(OF, 1)[COMPILED.id])
    assert found[EAGER] == Measured(visited_records(OF, 2)[EAGER.id])


def test_a_visit_is_a_change(outcomes: Outcomes) -> None:
    before = outcomes.revision
    outcomes.add_visit(later(1), 10.0)
    assert outcomes.revision > before


def test_cases_without_a_record_keep_their_reasons(outcomes: Outcomes) -> None:
    reasons = {COMPILED: Failed("it raised"), EAGER: Skipped("too slow")}
    outcomes.update(reasons)
    outcomes.add_visit(later(1), 10.0)
    assert dict(outcomes) == reasons


def test_what_is_stored_takes_little_memory_however_often_it_was_visited(outcomes: Outcomes) -> None:
    outcomes.store(OF.reported)
    for number in range(1, 20):
        outcomes.add_visit(later(number), 10.0 * number)
    (stored,) = {id(outcome): outcome for outcome in outcomes._outcomes.values()}.values()
    assert not isinstance(stored, Measured | Failed | Skipped)
    assert all(isinstance(visit, bytes) for visit in stored.visits)
    assert len(stored.visits) == 19
    found = outcomes[EAGER]
    assert isinstance(found, Measured)
    assert len(found.record["timing"]["visits"]) == 20


def test_where_the_journal_cannot_be_read_any_more_that_is_the_reason(tmp_path: Path) -> None:
    outcomes = Outcomes()
    outcomes.update(records(OF, answer(OF, 0), UNDECLARED))
    journal, span = journaled(outcomes, tmp_path)
    outcomes.store(OF.reported, journal, span)
    outcomes.add_visit(later(1), 10.0)
    (tmp_path / "run.json.journal").write_bytes(b"")
    for case in OF.cases:
        assert outcomes[case] == Failed(f"{case.id}: its record cannot be read from the journal any more")


def test_an_entry_of_a_visit_is_the_same_after_the_journal() -> None:
    found = later(1, meters={"loss": ("", [1.0, float("nan"), 3.0])}, notes=["it sets a seed"])
    for entry in found.values():
        text = json.loads(json.dumps(msgspec.to_builtins(entry)))
        assert msgspec.convert(text, VisitEntry) == entry
