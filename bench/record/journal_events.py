"""The events of a run in its journal, as typed values, and the log of all of them.

Format 1. Kinds of events and keys that a later writer of the same format adds are ignored. The records within events
are checked by their readers, as those of a run's file are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import msgspec

from torchduet.bench.record.ceilings import highest
from torchduet.bench.record.gpu_samples import GpuNews
from torchduet.bench.record.journal import Content, Entry, JournalError, Span
from torchduet.bench.record.schema import CeilingRecord, NotMeasured, PassingRecord, PilotRecord, ResumedRecord
from torchduet.bench.record.telemetry import Timed
from torchduet.bench.record.visits.entry import VisitEntry


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first entry: the identity of the run, and its plan.

    Attributes:
        identity: all that must be equal for another process to continue the run.
        run: the run's record as of its start.
        plan: each family's name and the ids of its reported cases, in order.
    """

    identity: dict[str, dict[str, Any]]
    run: dict[str, Any]
    plan: list[tuple[str, list[str]]]


class OutcomeEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A case's outcome: its record, or the reason why there is none."""

    record: dict[str, Any] | None = None
    skipped: NotMeasured | None = None
    failed: NotMeasured | None = None

    def __post_init__(self) -> None:
        if sum(field is not None for field in (self.record, self.skipped, self.failed)) != 1:
            raise ValueError("expected one of record, skipped, failed")


class SpentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a family cost (seconds), see :class:`torchduet.bench.plan.budget.Spent`; cases by their ids."""

    fixed: float | None
    timing: tuple[float, float] | None
    stages: dict[str, float]
    slow: list[tuple[str, float]]
    again: bool


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """An event, ``at`` seconds into the run."""

    at: float


class Began(Event, frozen=True, kw_only=True, tag="began"):
    """The budget began: the seconds of the start-up, and those set aside for the end."""

    startup: float
    set_aside: float


class PilotsTimed(Event, frozen=True, kw_only=True, tag="pilot"):
    """The pilots were timed."""

    pilot: PilotRecord


class CeilingsMeasured(Event, frozen=True, kw_only=True, tag="ceilings"):
    """The machine's ceilings were measured."""

    ceilings: list[CeilingRecord]


class PaceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """How a case is timed in every visit, see :class:`torchduet.bench.cases.exchange.Pace`."""

    seconds: float
    pacing_seconds: float
    calls: int
    warm_up_calls: int
    idle_waiting: bool


class PairPace(msgspec.Struct, frozen=True, kw_only=True):
    """How a case is timed in every pair of a duet, see :class:`torchduet.bench.duet.pairs.Pace`."""

    calls: int
    warm_up_calls: int
    placements: int
    turns: int
    seconds: float


class FirstVisit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What later visits to a family need.

    Attributes:
        began: of the first visit, in seconds into the run.
        share: seconds that all visits may time.
        paces: of the cases that were timed, by case id, with those that are not reported and the copies.
        pairs: the same of a duet.
        compiler: of a duet: whether its workers import the compiler.
        starting: seconds of starting its devices.
    """

    began: float
    share: float
    paces: dict[str, PaceEntry]
    pairs: dict[str, PairPace] = {}
    compiler: bool = False
    starting: float = 0.0


KILLED = "was killed by SIGKILL"  # in the reason of a case that failed so: nothing in the code asked for it


class FamilyDone(Event, frozen=True, kw_only=True, tag="family"):
    """A family is finished: its outcomes and cost, and the run's warnings and hints so far."""

    name: str
    outcomes: dict[str, OutcomeEntry]  # by the ids of its reported cases
    spent: SpentEntry
    timed: Timed | None
    warnings: list[str]
    hints: list[str]
    passing: PassingRecord | None = None
    gpus: GpuNews = {}
    visits: FirstVisit | None = None

    @property
    def killed(self) -> bool:
        """Whether a process of it was killed, as the kernel does when memory runs out."""
        return any(outcome.failed and KILLED in outcome.failed["reason"] for outcome in self.outcomes.values())


class VisitDone(Event, frozen=True, kw_only=True, tag="visit"):
    """A later visit to a family: what it found of each case, by case id.

    Attributes:
        began: seconds into the run.
        took: seconds of the visit, its process included.
    """

    name: str
    began: float
    took: float
    timing: float
    cases: dict[str, VisitEntry]
    stages: dict[str, float]
    timed: Timed | None
    passing: PassingRecord | None = None
    gpus: GpuNews = {}


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """Another process continued the run."""

    resumed: ResumedRecord


class Ended(Event, frozen=True, kw_only=True, tag="end"):
    """The last family is finished, and what is measured after it."""


AnyEvent = Began | PilotsTimed | CeilingsMeasured | FamilyDone | VisitDone | Resumed | Ended
KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(AnyEvent))
E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class RunLog:
    """The events of a journal.

    Attributes:
        spans: positions of the events in the journal.
        dropped: number of damaged lines.
    """

    header: Header
    events: tuple[AnyEvent, ...]
    spans: tuple[Span, ...] = ()
    dropped: int = 0

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def finished(self) -> list[FamilyDone]:
        """The finished families, by the last event of each."""
        return list({event.name: event for event in self.of(FamilyDone)}.values())

    def settled(self) -> list[FamilyDone]:
        """The finished families that need not be measured again.

        Families at the end whose workers died or that ended early are left out: the cause may also have ended the run.
        So is each of which a process was killed: by what else the machine did at that moment, perhaps.
        """
        families = self.finished()
        while families and families[-1].spent.again:
            families.pop()
        return [family for family in families if not family.killed]

    def visits(self, families: Sequence[FamilyDone]) -> list[VisitDone]:
        """The later visits to these families, which are events of this log, in order.

        Visits before a family's event were to an earlier measurement of it, whose event is damaged.
        """
        places = {id(event): place for place, event in enumerate(self.events)}
        after = {family.name: places[id(family)] for family in families}
        return [
            event
            for place, event in enumerate(self.events)
            if isinstance(event, VisitDone) and place > after.get(event.name, len(self.events))
        ]

    def ceilings(self) -> list[CeilingRecord]:
        """The ceilings: the best of all measurements."""
        return highest(event.ceilings for event in self.of(CeilingsMeasured))

    def began(self) -> Began | None:
        """The first event that the budget began; None if there is none."""
        return next(iter(self.of(Began)), None)

    def seconds(self) -> float:
        """The time of the last event, in seconds into the run."""
        return max((event.at for event in self.events), default=0.0)


def read_log(content: Content, name: str) -> RunLog:
    """A journal's entries as events.

    Args:
        name: of the journal, for messages.

    Raises:
        JournalError: an entry does not have the keys and types of its kind; the message names both.
    """
    try:
        header = msgspec.convert(content.header, Header)
    except msgspec.ValidationError as error:
        raise JournalError(f"{name} is a journal whose first entry is not that of a run ({error})") from None
    entry_spans = content.spans or tuple(Span(0, 0) for _ in content.entries)
    events, spans = [], []
    for number, (entry, span) in enumerate(zip(content.entries, entry_spans, strict=True), 2):
        if isinstance(kind := entry.get("kind"), str) and kind not in KINDS:
            continue
        try:
            events.append(msgspec.convert(entry, AnyEvent))
        except msgspec.ValidationError as error:
            why = f"{number}: {error}"
            raise JournalError(f"{name} is a journal whose entries are not those of a run ({why})") from None
        spans.append(span)
    return RunLog(header, tuple(events), tuple(spans), content.dropped)


def entry_of(event: Header | AnyEvent) -> Entry:
    """An event as its journal's entry."""
    entry: Entry = msgspec.to_builtins(event, enc_hook=_plain)
    return entry


def outcomes_of(entry: Mapping[str, Any] | None) -> dict[str, OutcomeEntry]:
    """Case id → outcome, from a family's entry in the journal; empty for None.

    Raises:
        msgspec.ValidationError: it is not an entry that :func:`entry_of` returned.
    """
    return msgspec.convert({} if entry is None else entry["outcomes"], dict[str, OutcomeEntry])


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, of which they are subclasses."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise NotImplementedError(f"a journal cannot hold {type(value).__name__}")
