"""The living ranks of one number of processes, seen from the family's worker: asked together, ended together."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from time import sleep
from typing import Any, Protocol

import msgspec

from torchduet.bench.host.suspension import awake, moment, suspended
from torchduet.bench.ranks.blame import Course
from torchduet.bench.ranks.failures import RanksError, RanksFailedError
from torchduet.bench.ranks.messages import Did, Do, Order, What, decode, encode

JOIN_SECONDS = 25.0  # until every rank has joined the group; starting a GPU and its libraries takes seconds
FIRST_CALL_SECONDS = 150.0  # for a first call while its ranks compute: they may compile, or compute in float64
WINDOW_SECONDS, COMPUTING_SHARE = 5.0, 0.1  # ranks compute that use so much of a core within a window
ANSWER_SECONDS = 20.0  # for an answer, beyond the time that the calls are expected to take
COLLECTIVE_SECONDS = 15.0  # until a collective gives up by itself; torch's own limits are 10 and 30 minutes
AFTER_ERROR_SECONDS = 5.0  # for the other ranks' answers, after one has failed
DUMP_SECONDS = 0.3  # to write a stack
END_SECONDS = 2.0
POLL_SECONDS = 0.2
IN_STEP = "do all ranks take part in the same collectives, in the same order?"

SUSPENDED = "the ranks were suspended for longer than they wait for each other: measure the family again"


class Members(Protocol):
    """The ranks of a pool, wherever they run."""

    def send(self, data: bytes) -> None:
        """Send a message to every rank.

        Raises:
            OSError: one of them is gone.
        """

    def receive(self, seconds: float) -> Mapping[int, bytes | None]:
        """The messages that have arrived within ``seconds``, by rank; None of a rank that has ended."""

    def ended(self, rank: int) -> str:
        """How a rank ended, in words that follow its name."""

    def last_output(self, rank: int) -> str:
        """The last lines that it wrote; empty if there are none."""

    def sessions(self) -> list[int]:
        """Sessions of ranks on this machine, beside that of this process."""

    def cpu_seconds(self, rank: int) -> float:
        """Seconds that it has computed; where that is unknown a time that goes on."""

    def dump(self, rank: int) -> None:
        """Let it write its stack to its output."""

    def close(self) -> None:
        """End all of them."""


class Computing:
    """Whether ranks compute: looks once in a window."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._since = awake()
        self._before: dict[int, float] = {}

    def now(self, ranks: Sequence[int]) -> bool:
        """Whether one of these ranks has computed in the window that ends now; False as long as it has not ended."""
        seconds = awake() - self._since
        if self._before and seconds < WINDOW_SECONDS:
            return False
        after = {rank: self._members.cpu_seconds(rank) for rank in ranks}
        grown = [after[rank] - self._before[rank] for rank in ranks if rank in self._before]
        self._since, self._before = awake(), after
        return any(used > COMPUTING_SHARE * seconds for used in grown)


class Pool:
    """The ranks of one number of processes on one kind of device.

    Attributes:
        ranks: how many there are.
        backend: of their process group, as soon as they have joined it.
        lost: why its ranks are no longer in step; none of them is asked anything more.
    """

    def __init__(self, order: Order, members: Members) -> None:
        self.order, self._members = order, members
        self.ranks = order.ranks
        self.backend = self.lost = ""
        self._number = 0
        self._ended: list[int] = []

    def join(self) -> None:
        """Wait until all have joined their process group.

        Raises:
            RanksError: one of them did not, or runs other versions.
        """
        answers = self.ask("join", seconds=JOIN_SECONDS)
        first = answers[0].result["versions"]
        for rank, did in enumerate(answers):
            if did.result["versions"] != first:
                theirs, ours = ", ".join(did.result["versions"]), ", ".join(first)
                raise RanksError(f"rank {rank} runs {theirs}; rank 0 runs {ours}: install the same for all ranks")
        self.backend = answers[0].result["backend"]

    def ask(self, what: What, *, seconds: float = 0.0, **given: Any) -> list[Did]:
        """Let all ranks do the same, and return their answers in the order of ranks.

        Args:
            seconds: that it takes, about.
            given: fields of :class:`Do`.

        Raises:
            RanksError: a rank has ended, did not answer in time, or failed while others did not.
        """
        if self.lost:
            raise RanksError(self.lost)
        course = self._asked(what, max(seconds, JOIN_SECONDS if what == "prepare" else ANSWER_SECONDS), given)
        joining = what == "join"
        if course.complete and not (course.failed if joining else course.lost):
            return [course.answers[rank] for rank in range(self.ranks)]
        self.lost = ("the process group could not be formed: " if joining else "") + self._why_lost(course)
        if course.suspended and not course.events:
            self.lost = f"{SUSPENDED}; {self.lost}"
        raise RanksError(self.lost)

    def tell(self, what: What, *, seconds: float = 0.0, **given: Any) -> list[Did]:
        """As :meth:`ask`, of what no rank may fail in.

        Raises:
            RanksError: see there.
            RanksFailedError: all ranks failed alike.
        """
        answers = self.ask(what, seconds=seconds, **given)
        if answers[0].error:
            raise RanksFailedError(answers[0].error)
        return answers

    def _asked(self, what: What, seconds: float, given: Mapping[str, Any]) -> Course:
        self._number += 1
        with contextlib.suppress(OSError):  # how a rank has ended follows
            self._members.send(encode(Do(number=self._number, what=what, **given)))
        before, now = moment(), awake()
        course = self._gather(now + seconds, now + (FIRST_CALL_SECONDS if what == "prepare" else seconds))
        course.suspended = suspended(before)
        return course

    def _gather(self, deadline: float, limit: float) -> Course:
        """The answers, until all have come, one rank has ended, or there is no more time.

        Args:
            limit: as far as the deadline is put off as long as the ranks compute.
        """
        course, troubled, computing = Course(self.ranks), False, Computing(self._members)
        for rank in self._ended:
            course.ended(rank)
        while not (course.complete or course.has_ended) and (left := deadline - awake()) > 0:
            for rank, data in self._members.receive(min(left, POLL_SECONDS)).items():
                self._add(course, rank, data)
            if deadline < limit and not troubled and computing.now(course.silent):
                deadline = max(deadline, min(limit, awake() + 2 * WINDOW_SECONDS))
            if course.troubled and not troubled:
                troubled, deadline = True, min(deadline, awake() + AFTER_ERROR_SECONDS)
        return course

    def _add(self, course: Course, rank: int, data: bytes | None) -> None:
        if data is None:
            self._ended.append(rank)
            course.ended(rank)
            return
        try:
            did = decode(data, Did)
        except msgspec.MsgspecError as error:
            course.failed_by_itself(rank, f"sent something that is not an answer: {error}")
            return
        if did.number == self._number:
            course.answered(rank, did)

    def _why_lost(self, course: Course) -> str:
        """Which rank is to blame: the first that failed by itself, then one that is silent, then one that waited."""
        if course.cause is not None:
            rank, words = course.cause
            return self._named(rank, words or self._members.ended(rank))
        silent = course.silent
        if silent:
            for rank in silent:
                self._members.dump(rank)
            sleep(DUMP_SECONDS)
            return self._named(silent[0], f"did not answer in time: {IN_STEP}", others=len(silent) - 1)
        rank = course.failed[0]
        return self._named(rank, f"waited in vain for another ({course.answers[rank].error}): {IN_STEP}")

    def _named(self, rank: int, what: str, others: int = 0) -> str:
        """The reason of a family, with the rank's last lines."""
        name = f"rank {rank} of {self.ranks}" if not others else f"rank {rank} and {others} more of {self.ranks} ranks"
        lines = self._members.last_output(rank)
        joined = what if what.startswith(("was ", "did ", "ended ", "closed ", "waited ", "sent ")) else f": {what}"
        text = f"{name} {joined}" if joined is what else f"{name}{joined}"
        return f"{text}\nIts last output:\n{lines}" if lines else text

    def sessions(self) -> list[int]:
        """Sessions of ranks on this machine, beside that of this process."""
        return [] if self.lost else self._members.sessions()

    def close(self) -> None:
        """End the ranks: those that are in step leave their group first."""
        if self.backend and not self.lost:  # else they have not joined, and would begin to
            self._asked("end", END_SECONDS, {})
        self._members.close()
