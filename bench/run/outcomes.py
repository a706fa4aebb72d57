"""What came out for each case of a run. Records that nobody needs until its end are put away: hours fit in memory.

They stay where they are, in the journal; without one they are packed. A record of 1,000 block times takes 40 KB as
Python's objects.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

from torchduet.bench.cases.case import Case
from torchduet.bench.record.journal import Journal, Place
from torchduet.bench.record.schema import NotMeasured
from torchduet.bench.run.records import Outcome, Skip


def outcome_entry(case: Case, outcome: Outcome) -> dict[str, object]:
    """A case's outcome as it stands in the journal: its record, or why there is none."""
    if isinstance(outcome, Skip):
        return {"skipped": NotMeasured(case=case.record(reference=False), reason=outcome.reason)}
    if isinstance(outcome, str):
        return {"failed": NotMeasured(case=case.record(reference=False), reason=outcome)}
    return {"record": outcome}


def outcome_of(entry: Mapping[str, object]) -> Outcome:
    """What :func:`outcome_entry` was given."""
    for kind in ("skipped", "failed"):
        if kind in entry:
            reason = str(entry[kind]["reason"])  # type: ignore[index]
            return Skip(reason) if kind == "skipped" else reason
    record: Outcome = entry["record"]  # type: ignore[assignment]
    return record


@dataclass(frozen=True, slots=True)
class _Away:
    """A family's outcomes elsewhere: in the journal, or here as packed JSON."""

    cases: Sequence[Case]
    journal: Journal | None
    where: Place | bytes

    def bring(self) -> dict[str, Outcome]:
        """Case id → outcome; of those that cannot be read any more there is none."""
        if isinstance(self.where, bytes):
            entries = json.loads(zlib.decompress(self.where))
        else:
            assert self.journal is not None
            entries = (self.journal.read(self.where) or {"outcomes": {}})["outcomes"]
        return {case: outcome_of(one) for case, one in entries.items()}


class Outcomes(MutableMapping[Case, Outcome]):
    """Case → what came out for it. Once asked for, a record is brought back and stays the same object."""

    def __init__(self) -> None:
        self._found: dict[Case, Outcome | _Away] = {}

    def put_away(self, cases: Sequence[Case], journal: Journal | None = None, place: Place | None = None) -> None:
        """These will not be asked for, nor changed, for long: nobody may hold on to their records.

        Args:
            place: where their family stands in the journal as it is.
        """
        here = {case.id: outcome_entry(case, self[case]) for case in cases if case in self}
        if not any("record" in one for one in here.values()):
            return
        if journal is not None and place is not None:
            away = _Away(cases, journal, place)
        else:
            away = _Away(cases, None, zlib.compress(json.dumps(here, separators=(",", ":")).encode(), 1))
        self._found.update((case, away) for case in cases if case.id in here)

    def of(self, cases: Sequence[Case]) -> Mapping[str, Outcome]:
        """Those of some cases by their ids, which are brought back only when they are asked for."""
        return _Some(self, cases)

    def __getitem__(self, case: Case) -> Outcome:
        outcome = self._found[case]
        if not isinstance(outcome, _Away):
            return outcome
        back = outcome.bring()
        for one in outcome.cases:
            if self._found.get(one) is outcome:
                self._found[one] = back.get(one.id, f"{one.id}: its record cannot be read from the journal any more")
        return self[case]

    def __setitem__(self, case: Case, outcome: Outcome) -> None:
        self._found[case] = outcome

    def __delitem__(self, case: Case) -> None:
        del self._found[case]

    def __iter__(self) -> Iterator[Case]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, case: object) -> bool:
        return case in self._found


class _Some(Mapping[str, Outcome]):
    __slots__ = ("_cases", "_outcomes")

    def __init__(self, outcomes: Outcomes, cases: Sequence[Case]) -> None:
        self._outcomes = outcomes
        self._cases = tuple(cases)

    def __getitem__(self, name: str) -> Outcome:
        return self._outcomes[next(case for case in self._cases if case.id == name)]

    def __iter__(self) -> Iterator[str]:
        return (case.id for case in self._cases if case in self._outcomes)

    def __len__(self) -> int:
        return sum(case in self._outcomes for case in self._cases)
