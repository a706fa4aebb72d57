"""What came out for each case of a run. Records that nobody needs until its end are put away: hours fit in memory.

They stay where they are, in the journal; without one they are packed. A record of 1,000 block times takes 40 KB as
Python's objects.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.outcome import Failed, Measured, Outcome, Skipped
from torchduet.bench.record.journal import Journal, Place
from torchduet.bench.record.journal_events import OutcomeEntry, outcomes_of
from torchduet.bench.record.schema import NotMeasured, ProfileRecord, Record


def outcome_entry(case: Case, outcome: Outcome) -> OutcomeEntry:
    """A case's outcome as it stands in the journal: its record, or why there is none."""
    match outcome:
        case Measured(record):
            return OutcomeEntry(record=dict(record))
        case Skipped(reason):
            return OutcomeEntry(skipped=NotMeasured(case=case.record(reference=False), reason=reason))
        case Failed(reason):
            return OutcomeEntry(failed=NotMeasured(case=case.record(reference=False), reason=reason))


def outcome_of(entry: OutcomeEntry) -> Outcome:
    """What :func:`outcome_entry` was given."""
    if entry.skipped is not None:
        return Skipped(entry.skipped["reason"])
    if entry.failed is not None:
        return Failed(entry.failed["reason"])
    return Measured(cast(Record, entry.record))


@dataclass(frozen=True, slots=True)
class _Away:
    """A family's outcomes elsewhere: in the journal, or here as packed JSON."""

    cases: Sequence[Case]
    journal: Journal | None
    where: Place | bytes

    def bring(self) -> dict[str, Outcome]:
        """Case id → outcome; of those that cannot be read any more there is none."""
        if isinstance(self.where, bytes):
            entries = outcomes_of({"outcomes": json.loads(zlib.decompress(self.where))})
        else:
            assert self.journal is not None
            entries = outcomes_of(self.journal.read(self.where))
        return {case: outcome_of(entry) for case, entry in entries.items()}


class Outcomes(MutableMapping[Case, Outcome]):
    """Case → what came out for it. Once asked for, a record is brought back and stays the same object.

    Attributes:
        revision: how often an outcome was set or taken away.
    """

    def __init__(self) -> None:
        self._found: dict[Case, Outcome | _Away] = {}
        self.revision = 0

    def put_away(self, cases: Sequence[Case], journal: Journal | None = None, place: Place | None = None) -> None:
        """These will not be asked for for long: nobody may hold on to their records.

        Args:
            place: where their family stands in the journal as it is.
        """
        here = {case.id: outcome_entry(case, self[case]) for case in cases if case in self}
        if not any(entry.record is not None for entry in here.values()):
            return
        if journal is not None and place is not None:
            away = _Away(cases, journal, place)
        else:
            packed = json.dumps(msgspec.to_builtins(here), separators=(",", ":")).encode()
            away = _Away(cases, None, zlib.compress(packed, 1))
        self._found.update((case, away) for case in cases if case.id in here)

    def amend(self, case: Case, *, profile: ProfileRecord) -> None:
        """Put a record with its profile in the place of one without.

        Raises:
            KeyError: the case has no record.
        """
        outcome = self[case]
        if not isinstance(outcome, Measured):
            raise KeyError(case)
        self[case] = Measured({**outcome.record, "profile": profile})

    def __getitem__(self, case: Case) -> Outcome:
        outcome = self._found[case]
        if not isinstance(outcome, _Away):
            return outcome
        back = outcome.bring()
        for one in outcome.cases:
            if self._found.get(one) is outcome:
                lost = Failed(f"{one.id}: its record cannot be read from the journal any more")
                self._found[one] = back.get(one.id, lost)
        return self[case]

    def __setitem__(self, case: Case, outcome: Outcome) -> None:
        self._found[case] = outcome
        self.revision += 1

    def __delitem__(self, case: Case) -> None:
        del self._found[case]
        self.revision += 1

    def __iter__(self) -> Iterator[Case]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, case: object) -> bool:
        return case in self._found
