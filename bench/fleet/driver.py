"""Drives a fleet: gives the families out, keeps what comes back, and goes on when machines are lost or join.

It runs in one thread, and is told by :class:`torchduet.bench.fleet.nodes.Nodes` what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from torchduet.bench.fleet import messages
from torchduet.bench.fleet.admission import Admission, FleetError
from torchduet.bench.fleet.journal import FleetJournal, Log
from torchduet.bench.fleet.member import Member, State
from torchduet.bench.fleet.messages import Reply
from torchduet.bench.fleet.nodes import Arrived, Event, Leaving, Lost, Nodes, Said
from torchduet.bench.fleet.options import FleetOptions
from torchduet.bench.fleet.parts import Parts
from torchduet.bench.fleet.queue import Queue
from torchduet.bench.fleet.result import Result, result_of
from torchduet.bench.fleet.words import Telling, unattended
from torchduet.bench.host.signals import StopRequest

POLL_SECONDS = 0.5
GATHER_SECONDS = 120.0  # that the first machines wait for others to describe themselves
STOP_SECONDS = 30.0  # that machines have to send what they measured after a stop request
TERMINATED = 15  # the signal that a machine is stopped with which is taken away


class Driver:
    """Drives a fleet until every family is measured, or no machine is left for what remains.

    Args:
        keep: is given each machine's file as soon as there is one.
        say: writes a line to the terminal.
        show: draws the progress line.
        now: seconds of a clock.
    """

    def __init__(
        self,
        options: FleetOptions,
        nodes: Nodes,
        journal: FleetJournal,
        keep: Callable[[Log, dict[str, Any]], None],
        *,
        stop_request: StopRequest | None = None,
        say: Callable[[str], None] = lambda _: None,
        show: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._options, self._nodes, self._journal, self._keep = options, nodes, journal, keep
        self._stop, self._say, self._now = stop_request or StopRequest(), say, now
        self._telling, self._queue = Telling(say, show), Queue(split=options.split)
        self._admission = Admission(options, journal, self._queue)
        self._start = messages.Start(options=dict(options.given), when_busy=options.when_busy)
        self._members: dict[str, Member] = {}
        self._parts = Parts(self._members, self._admission, split=options.split)
        self._begun, self._gathered, self._unwritten = now(), False, False
        self._stopped_at: float | None = None
        self._alone_since: float | None = None
        self._problems, self._hints = dict[str, str](), list[str]()

    def run(self) -> Result:
        """Measure until the end; see :meth:`result` for what there is then.

        Raises:
            FleetError, ClusterError: nothing can be measured.
            KeyboardInterrupt: a second signal: nothing more is waited for.
        """
        while not self._over():
            for event in self._nodes.poll(POLL_SECONDS):
                self._happened(event)
            if self._stop.received() and self._stopped_at is None:
                self._stop_all()
            if self._stopped_at is None:
                if not self._gathered:
                    self._gather()
                for member in list(self._members.values()):
                    self._order_next(member)
            left, nobody = self._seconds_to_wait(), self._nodes.nobody()
            self._telling.tell(self._members.values(), self._queue, self._waiting(), left, nobody)
        return self.result()

    def result(self) -> Result:
        """What the fleet has measured so far."""
        stopped = f"stopped by {self._stop.name}" * self._stop.received()
        return result_of(self._queue, self._admission.kinds, self._hints, stopped)

    # What happens

    def _happened(self, event: Event) -> None:
        if isinstance(event, Arrived):
            self._members[event.node] = Member(event.node, event.host)
            self._nodes.send(event.node, self._start)
            return
        found = self._members.get(event.node)
        if found is None or not found.active:
            return
        match event:
            case Said(reply=reply):
                self._said(found, reply)
            case Lost(why=why):
                self._lost(found, why)
            case Leaving(why=why):
                self._say(f"{found.host} {why}: it sends what it has measured")
                self._stop_one(found, TERMINATED)

    def _said(self, member: Member, reply: Reply) -> None:
        match reply:
            case messages.Showing(text=text):
                member.showing = text
            case messages.Planned():
                member.planned, member.state = self._admission.shared(reply), State.DESCRIBED
                if self._gathered:
                    self._admit(member)
            case messages.Problem(text=text):
                self._refused(member, text)
            case messages.Ready():
                self._ready(member, reply)
            case messages.Wrote(entry=entry):
                self._wrote(member, entry)
            case messages.Measured():
                self._measured(member, reply)
            case messages.Visited():
                member.used, member.visits = reply.used, reply.more
                member.unclear, member.comparisons = reply.unclear, reply.comparisons
                self._free(member, reply.stopped)
            case messages.Finished():
                self._finished(member, reply)
            case messages.Gone(why=why):
                self._lost(member, f"cannot go on: its process {why}")

    def _refused(self, member: Member, text: str) -> None:
        self._problems[member.host] = text
        if self._gathered:
            self._say(f"{member.host} takes no part: {text}")
        self._leave(member)

    def _ready(self, member: Member, reply: messages.Ready) -> None:
        of_kind = self._admission.kinds[member.kind].families
        member.measured, member.used = [name for name in reply.measured if name in of_kind], reply.used
        member.visits = not reply.finished
        self._hints += [f"{member.host}: {warning}" for warning in reply.warnings]
        if member.state is State.BEGINNING:  # it was not told to stop meanwhile
            self._queue.joined(member.node, member.kind, self._admission.able(member))
            member.state, member.queued = State.IDLE, True

    def _wrote(self, member: Member, entry: Mapping[str, Any]) -> None:
        assert member.log is not None
        self._journal.add(member.log, entry)
        if self._journal.problem and not self._unwritten:
            self._unwritten = True
            self._say(f"warning: if this command is killed, the fleet cannot be resumed: {self._journal.problem}")

    def _measured(self, member: Member, reply: messages.Measured) -> None:
        member.used = reply.used
        if reply.whole and self._queue.done(member.node, reply.family):
            member.measured.append(reply.family)
            member.visits = True
        self._free(member, reply.stopped)

    def _free(self, member: Member, stopped: str) -> None:
        """A machine has carried out its order."""
        if member.state is not State.BUSY:  # it was told to stop
            return
        member.state = State.IDLE
        if stopped:
            self._say(f"{member.host} measures no more: {stopped}")
            self._order(member, messages.End(), State.ENDING)

    def _finished(self, member: Member, reply: messages.Finished) -> None:
        self._hints += reply.hints
        run = reply.document["torchduet"]
        if member.log is not None and (reply.document["benchmarks"] or run["failed"] or run["skipped"]):
            self._keep(member.log, reply.document)
        self._leave(member)

    def _lost(self, member: Member, why: str) -> None:
        again = ""
        if member.queued:
            member.queued = False
            family = self._queue.lost(member.node)
            given_up = self._queue.failed(member.kind).get(family or "")
            again = f"; {given_up}: it is given up" if given_up else f"; {family} is queued again" if family else ""
        if member.log is not None:
            self._admission.continued.leave(member.log, member.measured, member.used)
            member.used = 0.0
        if self._gathered:
            self._say(f"{member.host} {why}{again}")
        self._problems[member.host] = why
        self._leave(member)

    def _leave(self, member: Member) -> None:
        """Nothing more comes from a machine."""
        if member.queued:
            member.queued = False
            self._queue.left(member.node)
        member.state = State.OVER
        self._nodes.release(member.node)

    # Who takes part

    def _gather(self) -> None:
        """Begin, once all of the first machines have described themselves.

        Raises:
            FleetError: they cannot form one fleet.
        """
        members = list(self._members.values())
        described = [member for member in members if member.state is State.DESCRIBED]
        if not described:
            if members and not self._waiting():
                problems = [f"{host}: {text}" for host, text in self._problems.items()]
                raise FleetError(f"no machine can take part: {'; '.join(problems)}")
            return
        limit = min(GATHER_SECONDS, self._options.wait_seconds / 2)
        if any(member.state is State.DESCRIBING for member in members) and self._now() - self._begun < limit:
            return
        self._admission.open([member.planned for member in described if member.planned is not None])
        self._gathered = True
        for host, text in self._problems.items():
            self._say(f"{host} takes no part: {text}")
        for member in described:
            self._admit(member)

    def _admit(self, member: Member) -> None:
        assert member.planned is not None
        if obstacle := self._admission.obstacle(member.planned):
            self._refused(member, obstacle)
            return
        begin = self._admission.begin(member, self._members)
        self._say(f"{member.host}: {member.planned.label}{', continued' if begin.entries else ''}")
        member.state = State.BEGINNING
        self._nodes.send(member.node, begin)

    # What they do

    def _order_next(self, member: Member) -> None:
        if member.state is not State.IDLE:
            return
        family = self._queue.take(member.node)
        if family is not None:
            member.showing = family
            seconds = self._parts.until_all_are_measured(member)
            self._order(member, messages.Measure(family=family, seconds=seconds), State.BUSY)
        elif member.measured and member.visits:
            self._order(member, messages.Visit(seconds=self._parts.by_families(member)), State.BUSY)
        elif not self._queue.waiting_for(member.node):
            self._order(member, messages.End(), State.ENDING)

    def _order(self, member: Member, order: messages.Measure | messages.Visit | messages.End, state: State) -> None:
        member.state = state
        if state is State.ENDING:
            member.queued = False
            self._queue.left(member.node)
        self._nodes.send(member.node, order)

    # How it ends

    def _seconds_to_wait(self) -> float | None:
        """For how much longer a machine is waited for; None while there is one."""
        since = self._alone_since
        return None if since is None else max(0.0, self._options.wait_seconds - (self._now() - since))

    def _stop_all(self) -> None:
        self._stopped_at = self._now()
        self._say(f"stopped by {self._stop.name}: all machines send what they have measured")
        for member in list(self._members.values()):
            self._stop_one(member, self._stop.number)

    def _stop_one(self, member: Member, number: int) -> None:
        """Let a machine finish what it is timing, and send what it has; its family may be finished by that."""
        if member.active and member.log is None:
            self._leave(member)
        elif member.active:
            member.state = State.ENDING
            self._nodes.send(member.node, messages.Stop(number=number))

    def _over(self) -> bool:
        waiting, active = self._waiting(), [member for member in self._members.values() if member.active]
        if self._stopped_at is not None:
            return not active or self._now() - self._stopped_at > STOP_SECONDS
        if any(member.log is not None for member in active):
            self._alone_since = None
            return False
        if self._gathered and not self._queue.unreached() and not waiting:
            return True
        self._alone_since = self._now() if self._alone_since is None else self._alone_since
        if self._now() - self._alone_since <= self._options.wait_seconds:
            return False
        if self._gathered:
            return True
        raise FleetError(unattended(self._options.wait_seconds, waiting, self._nodes.nobody()))

    def _waiting(self) -> dict[str, str]:
        """Machines that take no part yet: host → why."""
        members = (member for member in self._members.values() if member.active and member.log is None)
        return {**self._nodes.waiting(), **{member.host: member.showing or "is starting" for member in members}}
