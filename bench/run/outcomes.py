"""The outcome of each case of a run. Records that are not needed until its end are moved out of memory.

They are read from the journal again when needed; without a journal they are compressed. A record of 1,000 block times
takes 40 KB as Python's objects.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.outcome import Failed, Measured, Outcome, Skipped
from torchduet.bench.record.journal import Journal, Span
from torchduet.bench.record.journal_events import OutcomeEntry, outcomes_of
from torchduet.bench.record.schema import NotMeasured, Record
from torchduet.bench.record.strict_json import dumps
from torchduet.bench.record.visits.entry import VisitEntry, with_visit


def outcome_entry(case: Case, outcome: Outcome) -> OutcomeEntry:
    """A case's outcome as its journal entry: its record, or the reason why there is none."""
    match outcome:
        case Measured(record):
            return OutcomeEntry(record=dict(record))
        case Skipped(reason):
            return OutcomeEntry(skipped=NotMeasured(case=case.record(reference=False), reason=reason))
        case Failed(reason):
            return OutcomeEntry(failed=NotMeasured(case=case.record(reference=False), reason=reason))


def outcome_of(entry: OutcomeEntry) -> Outcome:
    """The inverse of :func:`outcome_entry`."""
    if entry.skipped is not None:
        return Skipped(entry.skipped["reason"])
    if entry.failed is not None:
        return Failed(entry.failed["reason"])
    return Measured(cast(Record, entry.record))


@dataclass(frozen=True, slots=True)
class _Stored:
    """A family's outcomes, stored in the journal or as compressed JSON."""

    cases: Sequence[Case]
    journal: Journal | None
    content: Span | bytes  # the entry's position in the journal, or the JSON
    visits: list[bytes] = field(default_factory=list)  # later visits: (seconds into the run, case id → entry), as JSON

    def load(self) -> dict[str, Outcome]:
        """Case id → outcome; empty if the journal cannot be read any more."""
        if isinstance(self.content, bytes):
            entries = outcomes_of({"outcomes": json.loads(zlib.decompress(self.content))})
        else:
            assert self.journal is not None
            entries = outcomes_of(self.journal.read(self.content))
        outcomes = {case: outcome_of(entry) for case, entry in entries.items()}
        for visit in self.visits:
            at, by_case = msgspec.json.decode(zlib.decompress(visit), type=tuple[float, dict[str, VisitEntry]])
            for case in by_case.keys() & outcomes.keys():
                outcomes[case] = _visited(outcomes[case], by_case[case], at)
        return outcomes


def _visited(outcome: Outcome, entry: VisitEntry, at: float) -> Outcome:
    return Measured(with_visit(outcome.record, entry, at)) if isinstance(outcome, Measured) else outcome


class Outcomes(MutableMapping[Case, Outcome]):
    """Case → its outcome. A stored record is loaded when it is first read, and then stays the same object.

    Attributes:
        revision: how often an outcome was set or deleted.
    """

    def __init__(self) -> None:
        self._outcomes: dict[Case, Outcome | _Stored] = {}
        self.revision = 0

    def store(self, cases: Sequence[Case], journal: Journal | None = None, span: Span | None = None) -> None:
        """Move a family's outcomes out of memory; callers should keep no reference to their records.

        Args:
            span: of the family's entry in the journal, if that holds the same outcomes.
        """
        entries = {case.id: outcome_entry(case, self[case]) for case in cases if case in self}
        if not any(entry.record is not None for entry in entries.values()):
            return
        if journal is not None and span is not None:
            stored = _Stored(cases, journal, span)
        else:
            text = dumps(msgspec.to_builtins(entries)).encode()
            stored = _Stored(cases, None, zlib.compress(text, 1))
        self._outcomes.update((case, stored) for case in cases if case.id in entries)

    def add_visit(self, entries: Mapping[Case, VisitEntry], at: float) -> None:
        """Add what a later visit found of a family's cases, ``at`` seconds into the run."""
        stored = [outcome for case in entries if isinstance(outcome := self._outcomes.get(case), _Stored)]
        if stored and all(outcome is stored[0] for outcome in stored) and len(stored) == len(entries):
            by_case = {case.id: entry for case, entry in entries.items()}
            stored[0].visits.append(zlib.compress(msgspec.json.encode((at, by_case)), 1))
            self.revision += 1
            return
        for case, entry in entries.items():
            self[case] = _visited(self[case], entry, at)

    def amend(self, case: Case, **parts: Any) -> None:
        """Replace a case's record by one with these parts, such as its profile.

        Raises:
            KeyError: the case has no record.
        """
        outcome = self[case]
        if not isinstance(outcome, Measured):
            raise KeyError(case)
        self[case] = Measured(cast(Record, {**outcome.record, **parts}))

    def __getitem__(self, case: Case) -> Outcome:
        outcome = self._outcomes[case]
        if not isinstance(outcome, _Stored):
            return outcome
        loaded = outcome.load()
        for member in outcome.cases:
            if self._outcomes.get(member) is outcome:
                lost = Failed(f"{member.id}: its record cannot be read from the journal any more")
                self._outcomes[member] = loaded.get(member.id, lost)
        return self[case]

    def __setitem__(self, case: Case, outcome: Outcome) -> None:
        self._outcomes[case] = outcome
        self.revision += 1

    def __delitem__(self, case: Case) -> None:
        del self._outcomes[case]
        self.revision += 1

    def __iter__(self) -> Iterator[Case]:
        return iter(self._outcomes)

    def __len__(self) -> int:
        return len(self._outcomes)

    def __contains__(self, case: object) -> bool:
        return case in self._outcomes
