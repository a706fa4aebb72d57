"""The living ranks of one number of processes, seen from the family's worker: asked together, ended together."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol

import msgspec
import torch.multiprocessing

from torchduet.bench.host.child_processes import describe_exit, last_lines
from torchduet.bench.ranks.messages import Did, Do, Order, What, decode, encode
from torchduet.bench.ranks.rank import DUMP, serve

JOIN_SECONDS = 25.0  # until every rank has joined the group; starting a GPU and its libraries takes seconds
ANSWER_SECONDS = 20.0  # for an answer, beyond the time that the calls are expected to take
COLLECTIVE_SECONDS = 15.0  # until a collective gives up by itself; torch's own limits are 10 and 30 minutes
PATIENCE = 10.0  # times as long as calls took before
AFTER_ERROR_SECONDS = 2.0  # for the other ranks' answers, after one has failed
DUMP_SECONDS = 0.3  # to write a stack
END_SECONDS = 2.0
LINES = 8  # of a rank's output, in a reason


class RanksError(Exception):
    """A rank died, did not answer, or failed alone: the ranks of its pool are no longer in step."""


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

    def dump(self, rank: int) -> None:
        """Let it write its stack to its output."""

    def close(self) -> None:
        """End all of them."""


class LocalRanks:
    """Ranks on this machine, forked from this process (Linux) or new interpreters; each with a pipe.

    They are started by PyTorch's own launcher. The kernel ends them with this process.
    """

    def __init__(self, order: Order, folder: Path) -> None:
        pipes = [Pipe() for _ in range(order.ranks)]
        self._links: list[Connection] = [ours for ours, _ in pipes]
        self._logs = [folder / f"rank-{order.prefix}-{rank}.log" for rank in range(order.ranks)]
        forks = sys.platform == "linux"
        theirs = [end for _, end in pipes]
        self._context = torch.multiprocessing.start_processes(  # type: ignore[attr-defined,no-untyped-call]
            start,
            (theirs, [*self._links] if forks else [], order, [str(log) for log in self._logs]),
            nprocs=order.ranks,
            join=False,
            start_method="fork" if forks else "spawn",
        )
        self._processes = self._context.processes
        for end in theirs:
            end.close()

    def send(self, data: bytes) -> None:
        """Send a message to every rank."""
        for link in self._links:
            link.send_bytes(data)

    def receive(self, seconds: float) -> Mapping[int, bytes | None]:
        """The messages that have arrived within ``seconds``."""
        ready = wait(self._links, seconds)
        arrived: dict[int, bytes | None] = {}
        for rank, link in enumerate(self._links):
            if link in ready:
                try:
                    arrived[rank] = link.recv_bytes()
                except (EOFError, OSError):
                    arrived[rank] = None
        return arrived

    def ended(self, rank: int) -> str:
        """How a rank ended."""
        self._processes[rank].join(END_SECONDS)
        return describe_exit(self._processes[rank].exitcode)

    def last_output(self, rank: int) -> str:
        """The last lines of its log."""
        return last_lines(self._logs[rank], LINES)

    def dump(self, rank: int) -> None:
        """Let it write its stack."""
        pid = self._processes[rank].pid
        if DUMP is not None and pid is not None and self._processes[rank].is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, DUMP)

    def close(self) -> None:
        """Kill those that are still there, and wait for them."""
        for link in self._links:
            link.close()
        for process in self._processes:
            if process.is_alive():
                process.kill()
        for process in self._processes:
            process.join(END_SECONDS)


def start(rank: int, ends: Sequence[Connection], others: Sequence[Connection], order: Order, logs: list[str]) -> None:
    """The start of a rank's process.

    Args:
        ends: of the pipes, one for each rank.
        others: the other ends, which a forked process must not hold open.
    """
    for connection in (*others, *(end for number, end in enumerate(ends) if number != rank)):
        connection.close()
    serve(ends[rank], order, rank, logs[rank])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Pool:
    """The ranks of one number of processes on one kind of device.

    Attributes:
        ranks: how many there are.
        backend: of their process group, as soon as they have joined it.
    """

    def __init__(self, order: Order, members: Members) -> None:
        self.order, self._members = order, members
        self.ranks = order.ranks
        self.backend = ""
        self._number = 0

    def join(self) -> None:
        """Wait until all have joined their process group.

        Raises:
            RanksError: one of them did not, or runs other versions.
        """
        answers = self.ask("join", seconds=JOIN_SECONDS)
        failed = [rank for rank, did in enumerate(answers) if did.error]
        if failed:
            raise RanksError(
                f"the process group could not be formed: {self._named(failed[0], answers[failed[0]].error)}"
            )
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
        self._number += 1
        with contextlib.suppress(OSError):  # how a rank has ended follows
            self._members.send(encode(Do(number=self._number, what=what, **given)))
        answers = self._gather(monotonic() + max(seconds, JOIN_SECONDS if what == "prepare" else ANSWER_SECONDS))
        failed = [rank for rank, did in answers.items() if did.error]
        if failed and len(failed) < self.ranks:
            raise RanksError(self._named(failed[0], answers[failed[0]].error))
        return [answers[rank] for rank in range(self.ranks)]

    def _gather(self, deadline: float) -> dict[int, Did]:
        answers: dict[int, Did] = {}
        ended: list[int] = []
        while len(answers) < self.ranks:
            left = deadline - monotonic()
            if left <= 0:
                break
            for rank, data in self._members.receive(left).items():
                if data is None:
                    ended.append(rank)
                elif (did := self._understood(rank, data)).number == self._number:
                    answers[rank] = did
            troubled = bool(ended) or any(did.error for did in answers.values())
            if troubled:
                deadline = min(deadline, monotonic() + AFTER_ERROR_SECONDS)
            if ended and len(answers) + len(set(ended)) >= self.ranks:
                break
        if len(answers) == self.ranks:
            return answers
        raise RanksError(self._why_incomplete(answers, sorted(set(ended))))

    def _understood(self, rank: int, data: bytes) -> Did:
        try:
            return decode(data, Did)
        except msgspec.MsgspecError as error:
            raise RanksError(f"rank {rank} of {self.ranks} sent something that is not an answer: {error}") from None

    def _why_incomplete(self, answers: Mapping[int, Did], ended: Sequence[int]) -> str:
        """Which rank is to blame: one that has ended comes before one with an error, and that before one that waits."""
        if ended:
            return self._named(ended[0], self._members.ended(ended[0]))
        failed = [rank for rank, did in answers.items() if did.error]
        if failed:
            return self._named(failed[0], answers[failed[0]].error)
        silent = [rank for rank in range(self.ranks) if rank not in answers]
        for rank in silent:
            self._members.dump(rank)
        sleep(DUMP_SECONDS)
        return self._named(
            silent[0],
            "did not answer in time: do all ranks take part in the same collectives, in the same order?",
            others=len(silent) - 1,
        )

    def _named(self, rank: int, what: str, others: int = 0) -> str:
        """The reason of a family, with the rank's last lines."""
        name = f"rank {rank} of {self.ranks}" if not others else f"rank {rank} and {others} more of {self.ranks} ranks"
        lines = self._members.last_output(rank)
        joined = what if what.startswith(("was ", "did ", "ended ", "closed ")) else f": {what}"
        text = f"{name} {joined}" if joined is what else f"{name}{joined}"
        return f"{text}\nIts last output:\n{lines}" if lines else text

    def close(self) -> None:
        """End the ranks: those that answer leave their group first."""
        with contextlib.suppress(RanksError, OSError):
            self._number += 1
            self._members.send(encode(Do(number=self._number, what="end")))
            self._gather(monotonic() + END_SECONDS)
        self._members.close()
