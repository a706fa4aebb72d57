"""The journal of a fleet: one file with the journals of all of its machines, each entry with the number of its log.

The entries of a machine stay on disk: the driver keeps their positions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from torchduet.bench.fleet.messages import Planned
from torchduet.bench.record.journal import FORMAT, Content, Entry, Journal, JournalError, Span, decode
from torchduet.bench.record.journal_events import RunLog, read_log

FLEET = "fleet"  # the kind of the first entry
FAMILY = "family"  # the kind of a machine's entry for a finished family


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first entry: what must be equal for the fleet to be continued.

    Attributes:
        options: the values of the options, as they were typed.
        sources: a digest of each file of the user's suites.
    """

    options: dict[str, Any]
    sources: dict[str, str]
    started: str


@dataclass
class Log:
    """What one machine has written.

    Attributes:
        planned: the machine and its plan.
        spans: positions of its entries.
        unwritten: its entries that the disk did not take.
        families: how many families are among them.
    """

    number: int
    planned: Planned
    spans: list[Span] = field(default_factory=list)
    unwritten: list[Entry] = field(default_factory=list)
    families: int = 0


class FleetJournal:
    """The journal of a fleet that is being written.

    Attributes:
        logs: of all machines, by number, with those of an earlier driver.
        dropped: damaged lines of the journal that is continued.
    """

    def __init__(self, journal: Journal, header: Header) -> None:
        self._journal, self.header = journal, header
        self.logs: dict[int, Log] = {}
        self.dropped = 0

    @classmethod
    def create(cls, path: Path, header: Header) -> FleetJournal:
        """Begin a new journal.

        Raises:
            JournalError: it exists or cannot be written.
        """
        journal = Journal.create(path, msgspec.to_builtins(header), kind=FLEET)
        if journal.problem:
            path.unlink(missing_ok=True)
            raise JournalError(journal.problem)
        return cls(journal, header)

    @classmethod
    def reopen(cls, path: Path) -> FleetJournal:
        """Continue the journal of a driver that has ended.

        Raises:
            JournalError: it cannot be used; the message says why.
        """
        journal = Journal.opened(path)
        try:
            return cls._read(journal, path)
        except BaseException:
            journal.close()
            raise

    @classmethod
    def _read(cls, journal: Journal, path: Path) -> FleetJournal:
        lines, dropped, intact = _lines(path), 0, 0
        span, first = next(lines, (Span(0, 0), None))
        if first is None or first.get("kind") != FLEET:
            raise JournalError(f"{path} is not the journal of a fleet, or its first line is damaged: name a new folder")
        if first.get("format") != FORMAT:
            raise JournalError(f"{path} was written by another version of Torchduet (format {first.get('format')})")
        try:
            own = cls(journal, msgspec.convert(first, Header))
            intact = span.start + span.length
            for span, entry in lines:
                if entry is None:
                    dropped += 1
                    continue
                own._restore(span, entry)
                intact = span.start + span.length
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            raise JournalError(f"{path} is a journal whose entries are not those of a fleet ({error})") from None
        journal.continue_after(intact)
        own.dropped = dropped
        return own

    def _restore(self, span: Span, entry: Entry) -> None:
        match entry.get("kind"):
            case "log":
                planned = msgspec.convert(entry["planned"], Planned)
                if (like := entry.get("like")) is not None:
                    planned = with_plan_of(planned, self.logs[like].planned)
                self.logs[entry["log"]] = Log(entry["log"], planned)
            case "entry":
                log = self.logs[entry["log"]]
                log.spans.append(span)
                log.families += entry["entry"].get("kind") == FAMILY

    @property
    def problem(self) -> str:
        """Why it is not written any more; empty while it is."""
        return self._journal.problem

    @property
    def path(self) -> Path:
        """Its file."""
        return self._journal.path

    def new_log(self, planned: Planned) -> Log:
        """Begin the log of a machine."""
        log = Log(max(self.logs, default=0) + 1, planned)
        like = next((other for other in self.logs.values() if other.planned.families is planned.families), None)
        self.logs[log.number] = log
        if like is None:
            self._journal.append({"kind": "log", "log": log.number, "planned": msgspec.to_builtins(planned)})
        else:
            own = msgspec.structs.replace(
                planned, families=[], in_turns=[], identity=planned.identity | {"selection": {}}
            )
            about = {"log": log.number, "like": like.number, "planned": msgspec.to_builtins(own)}
            self._journal.append({"kind": "log", **about})
        return log

    def add(self, log: Log, entry: Mapping[str, Any]) -> None:
        """Add an entry of a machine; one that the disk does not take stays in memory."""
        log.families += entry.get("kind") == FAMILY
        span = self._journal.append({"kind": "entry", "log": log.number, "entry": entry})
        if span is None:
            log.unwritten.append(dict(entry))
        else:
            log.spans.append(span)

    def entries(self, log: Log) -> list[Entry]:
        """The entries of a machine; those that cannot be read any more are left out."""
        read = (self._journal.read(span) for span in log.spans)
        return [entry["entry"] for entry in read if entry is not None] + log.unwritten

    def run_log(self, log: Log) -> RunLog | None:
        """The events of a machine; None if it has not begun.

        Raises:
            JournalError: its entries are not those of a run.
        """
        entries = self.entries(log)
        if not entries or entries[0].get("kind") != "run":
            return None
        content = Content(entries[0], tuple(entries[1:]), 0, 0)
        return read_log(content, f"{self.path}, {log.planned.host}")

    def close(self) -> None:
        """Close the journal and keep its file."""
        self._journal.close()

    def remove(self) -> None:
        """Close the journal and remove its file, once all results are written."""
        self._journal.remove()


def with_plan_of(planned: Planned, other: Planned) -> Planned:
    """A machine with the plan of another, which stands in the journal once."""
    identity = planned.identity | {"selection": other.identity["selection"]}
    return msgspec.structs.replace(planned, families=other.families, in_turns=other.in_turns, identity=identity)


def _lines(path: Path) -> Iterator[tuple[Span, Entry | None]]:
    """Every line's position and entry, one after the other; None: it is damaged."""
    at = 0
    with path.open("rb") as file:
        for line in file:
            yield Span(at, len(line)), decode(line)
            at += len(line)
