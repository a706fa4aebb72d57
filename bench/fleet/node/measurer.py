"""Carries out a driver's orders on one machine: measures families, visits them again, makes the run's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from torchduet.bench.cases.case import Family
from torchduet.bench.fleet.messages import (
    Begin,
    End,
    Finished,
    Measure,
    Measured,
    Message,
    Order,
    Ready,
    Showing,
    Start,
    Stop,
    Visit,
    Visited,
    Wrote,
)
from torchduet.bench.fleet.node.plan import planned
from torchduet.bench.fleet.node.prepared import prepared
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.library.run_file import document
from torchduet.bench.record.contract import readable_record, readable_run
from torchduet.bench.record.journal import FORMAT, JournalError, Span, encode, path_for
from torchduet.bench.record.journal_events import AnyEvent, entry_of
from torchduet.bench.record.schema import NotMeasured, Record
from torchduet.bench.record.schema_check import ContractError
from torchduet.bench.run import resume
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session
from torchduet.bench.workers.launcher import EndedEarlyError, WorkerError

Send = Callable[[Message], None]


@dataclass
class NodeProgress(Progress):
    """A run's progress whose journal goes to the driver, too, even where this machine's disk is full."""

    send: Send = field(default=lambda _: None)

    def write(self, event: AnyEvent) -> Span | None:
        """Add an event to the journal, here and at the driver; returns its position here."""
        span = super().write(event)
        self.send(Wrote(entry=entry_of(event)))
        return span


class Measurer:
    """Measures on this machine what its driver orders.

    Args:
        send: sends a message to the driver.
        stop_request: whether the process is to end.
        at_end: undoes what this begins.
    """

    def __init__(self, send: Send, stop_request: StopRequest, at_end: ExitStack) -> None:
        self._send, self._stop_request, self._at_end = send, stop_request, at_end
        self._progress = NodeProgress(send=send)
        self._progress.show = lambda text: send(Showing(text=text))
        self._session: Session | None = None
        self._families: Mapping[str, Family] = {}

    def carry_out(self, order: Order) -> bool:
        """Carry out an order and send the answer; returns whether others may follow.

        Raises:
            OptionError, SuiteError, JournalError: this machine cannot take part; the message says why.
        """
        match order:
            case Start():
                ready = prepared(order.options, order.when_busy, self._stop_request, self._progress, self._at_end)
                self._session = ready.session
                self._families = {family.name: family for family in self._progress.families}
                self._send(planned(ready))
            case Begin():
                self._begin(order)
            case Measure():
                self._send(self._measured(order))
            case Visit():
                self._send(self._visited(order))
            case End():
                self._end()
                self._send(self._finished())
            case Stop():
                self._progress.stopped = self._progress.stopped or self._of_session().stop_reason()
                self._send(self._finished())
        return not isinstance(order, End | Stop)

    def _of_session(self) -> Session:
        assert self._session is not None, "the first order is Start"
        return self._session

    def _begin(self, order: Begin) -> None:
        """Open the journal, or continue that of an earlier process, and begin the budget."""
        session, progress = self._of_session(), self._progress
        session.measuring.warm_starts = order.warm_starts
        run = Path(session.measuring.launcher.folder) / "run.json"
        if order.entries:
            path_for(run).write_bytes(b"".join(map(encode, order.entries)))
            resume.begin(session.measuring, run, resume=True)
        else:
            header = entry_of(resume.header(session.measuring))
            self._send(Wrote(entry={"kind": "run", "format": FORMAT, **header}))
            try:
                resume.begin(session.measuring, run, resume=False)
            except JournalError as error:  # a full disk: the driver has all entries
                progress.warnings.append(str(error))
        if progress.journal is not None:
            self._at_end.callback(progress.journal.close)
        self._stop_request.graceful = True
        measured = [family.name for family, _ in progress.finished_families]
        used = progress.spent_before[0] if progress.spent_before else 0.0
        warnings = list(progress.warnings)
        self._send(Ready(measured=measured, used=used, finished=progress.finished, warnings=warnings))

    def _measured(self, order: Measure) -> Measured:
        session, family, whole = self._of_session(), self._families[order.family], True
        try:
            session.measuring.begin()
            assert session.measuring.budget is not None
            session.measuring.budget.use_only(order.seconds)
            session.measure(family)
        except EndedEarlyError:
            whole = False
            self._progress.stopped = self._progress.stopped or session.stop_reason()
        except WorkerError as error:  # not one of the family: no process can measure here
            whole = False
            self._progress.stopped = self._progress.stopped or f"no worker can be used: {error}"
        return Measured(family=family.name, used=self._used(), stopped=self._stopped(), whole=whole)

    def _visited(self, order: Visit) -> Visited:
        session, more = self._of_session(), False
        try:
            session.measuring.begin()
            assert session.measuring.budget is not None
            session.measuring.budget.use_only(order.seconds)
            more = session.visit()
        except EndedEarlyError:
            self._progress.stopped = self._progress.stopped or session.stop_reason()
        except WorkerError as error:
            self._progress.stopped = self._progress.stopped or f"no worker can be used: {error}"
        unclear, comparisons = session.measuring.visiting.unclear()
        return Visited(more=more, used=self._used(), unclear=unclear, comparisons=comparisons, stopped=self._stopped())

    def _end(self) -> None:
        session = self._of_session()
        if not self._progress.outcomes or self._progress.stopped:
            return
        try:
            session.measuring.begin()
            session.finish()
        except EndedEarlyError:
            self._progress.stopped = self._progress.stopped or session.stop_reason()
        except WorkerError as error:
            self._progress.warnings.append(f"what comes after the last visit was not measured: {error}")

    def _finished(self) -> Finished:
        """The run's file, as a reader accepts it."""
        session = self._of_session()
        run, lines = readable_run(session.run_record())
        run["warnings"] += lines
        records: list[Record] = []
        for record in session.records():
            try:
                kept, left_out = readable_record(record)
            except ContractError as error:
                reason = f"its result cannot be recorded: {error}"
                run["failed"].append(NotMeasured(case=record["case"], reason=reason))
                continue
            kept["notes"] = [*kept["notes"], *left_out]
            records.append(kept)
        return Finished(document=document(records, run, datetime.now(UTC)), hints=list(self._progress.hints))

    def _used(self) -> float:
        budget = self._of_session().measuring.budget
        return 0.0 if budget is None else budget.used()

    def _stopped(self) -> str:
        return self._progress.stopped
