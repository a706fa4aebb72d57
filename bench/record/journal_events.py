"""The events of a run, as its journal keeps them: one typed value each, and what follows from all of them.

Format 1. What a later writer of the same format adds is passed over: kinds of events, and keys. Records within events
are checked by whoever reads them, as those of a run's file are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import msgspec

from torchduet.bench.record.ceilings import highest
from torchduet.bench.record.gpu_samples import GpuNews
from torchduet.bench.record.journal import Content, Entry, JournalError, Place
from torchduet.bench.record.schema import CeilingRecord, NotMeasured, PassingRecord, PilotRecord, ResumedRecord
from torchduet.bench.record.telemetry import Timed


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first entry: which run this is.

    Attributes:
        identity: what must be the same for another process to go on with it.
        run: the run's record as of its start.
        plan: family's name and the ids of its reported cases, in order.
    """

    identity: dict[str, dict[str, Any]]
    run: dict[str, Any]
    plan: list[tuple[str, list[str]]]


class OutcomeEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A case's outcome: its record, or why there is none."""

    record: dict[str, Any] | None = None
    skipped: NotMeasured | None = None
    failed: NotMeasured | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.record, self.skipped, self.failed)) != 1:
            raise ValueError("expected one of record, skipped, failed")


class SpentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a family cost (seconds), see :class:`torchduet.bench.plan.budget.Spent`; cases by their ids."""

    fixed: float | None
    timing: tuple[float, float] | None
    stages: dict[str, float]
    slow: list[tuple[str, float]]
    again: bool


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Something that happened, ``at`` seconds into the run."""

    at: float


class Began(Event, frozen=True, kw_only=True, tag="began"):
    """The budget began: seconds that starting took, and those set aside for the end."""

    startup: float
    set_aside: float


class PilotsTimed(Event, frozen=True, kw_only=True, tag="pilot"):
    """The pilots were timed."""

    pilot: PilotRecord


class CeilingsMeasured(Event, frozen=True, kw_only=True, tag="ceilings"):
    """The machine's ceilings were measured."""

    ceilings: list[CeilingRecord]


class FamilyDone(Event, frozen=True, kw_only=True, tag="family"):
    """A family is done: all that its session learned from it, and its warnings and hints so far."""

    name: str
    outcomes: dict[str, OutcomeEntry]  # by the ids of its reported cases
    spent: SpentEntry
    timed: Timed | None
    warnings: list[str]
    hints: list[str]
    passing: PassingRecord | None = None
    gpus: GpuNews = {}


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """Another process went on with the run."""

    resumed: ResumedRecord


class Ended(Event, frozen=True, kw_only=True, tag="end"):
    """The last family is done, and what comes after it."""


AnyEvent = Began | PilotsTimed | CeilingsMeasured | FamilyDone | Resumed | Ended
KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(AnyEvent))
E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class RunLog:
    """What a journal tells.

    Attributes:
        places: of the events in the journal.
        dropped: damaged lines.
    """

    header: Header
    events: tuple[AnyEvent, ...]
    places: tuple[Place, ...] = ()
    dropped: int = 0

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def finished(self) -> list[FamilyDone]:
        """The families that are done, the last event of each."""
        return list({event.name: event for event in self.of(FamilyDone)}.values())

    def settled(self) -> list[FamilyDone]:
        """The families that need not be measured again: without those at the end whose workers died, or that were cut
        short: what killed them may have been what ended the run.
        """
        found = self.finished()
        while found and found[-1].spent.again:
            found.pop()
        return found

    def ceilings(self) -> list[CeilingRecord]:
        """The best of all measurements."""
        return highest(event.ceilings for event in self.of(CeilingsMeasured))

    def began(self) -> Began | None:
        """The first beginning of its budget."""
        return next(iter(self.of(Began)), None)

    def seconds(self) -> float:
        """How far into the run it reaches."""
        return max((event.at for event in self.events), default=0.0)


def read_log(content: Content, name: str) -> RunLog:
    """A journal's entries as events.

    Args:
        name: of the journal, for messages.

    Raises:
        JournalError: one is not what its kind says; the message names it and the key.
    """
    try:
        header = msgspec.convert(content.header, Header)
    except msgspec.ValidationError as error:
        raise JournalError(f"{name} is a journal whose first entry is not that of a run ({error})") from None
    places = content.places or tuple(Place(0, 0) for _ in content.entries)
    events, kept = [], []
    for number, (entry, place) in enumerate(zip(content.entries, places, strict=True), 2):
        if isinstance(kind := entry.get("kind"), str) and kind not in KINDS:
            continue
        try:
            events.append(msgspec.convert(entry, AnyEvent))
        except msgspec.ValidationError as error:
            why = f"{number}: {error}"
            raise JournalError(f"{name} is a journal whose entries are not those of a run ({why})") from None
        kept.append(place)
    return RunLog(header, tuple(events), tuple(kept), content.dropped)


def entry_of(event: Header | AnyEvent) -> Entry:
    """An event as its journal's entry."""
    entry: Entry = msgspec.to_builtins(event, enc_hook=_plain)
    return entry


def outcomes_of(entry: Mapping[str, Any] | None) -> dict[str, OutcomeEntry]:
    """Case id → outcome, of a family's entry as it stands in the journal; none of what is no such entry.

    Raises:
        msgspec.ValidationError: it is not what :func:`entry_of` gave.
    """
    return msgspec.convert({} if entry is None else entry["outcomes"], dict[str, OutcomeEntry])


def _plain(value: Any) -> Any:
    """NumPy's numbers, which are kinds of Python's."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise NotImplementedError(f"a journal cannot hold {type(value).__name__}")
