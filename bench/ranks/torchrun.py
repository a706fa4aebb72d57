"""The ranks of a pool in the processes that ``torchrun`` has started, seen from the family's worker.

Rank 0 is a child of the worker. The other ranks are children of the processes that follow. All messages go over the
store: a message to all ranks is one key, each answer another. Keys are deleted as soon as they were read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

import msgspec

from torchduet.bench.ranks.commands import (
    GROUP,
    MEMBERS,
    OPEN,
    Command,
    Member,
    Report,
    command,
    did_key,
    do_key,
    ended_key,
    lost_key,
    reply_key,
)
from torchduet.bench.ranks.messages import Order, decode
from torchduet.bench.ranks.started import RankProcess
from torchduet.bench.ranks.store import VARIABLE, again
from torchduet.bench.received.cleaned import cleaned_text

REPLY_SECONDS = 5.0  # for the answer of a process that follows
LOOK_SECONDS = 1.0  # between two looks at ranks that have not answered
NO_ANSWER = f"did not answer within {REPLY_SECONDS:.0f} s: the process that was started for it has ended"


def several_processes() -> bool:
    """Whether this worker belongs to a run of processes that were started together."""
    return VARIABLE in os.environ


class TorchrunRanks:
    """Ranks 0 to n − 1 of the processes that were started together.

    Raises:
        OSError: one of the processes is lost, or runs another version.
    """

    def __init__(self, order: Order, folder: Path) -> None:
        self._store, self._ranks = again(), order.ranks
        self._members = msgspec.msgpack.decode(self._store.get(MEMBERS), type=list[Member])[: order.ranks]
        self._lost: dict[int, str] = {}
        self._refuse()
        self._pool = f"pool/{self._store.add('pools', 1)}"
        self._number, self._waiting = 0, list[int]()
        self._gone: set[int] = set()  # whose end was reported
        self._looked = monotonic()
        prefix = f"{self._store.prefix}/{self._pool}/{GROUP}"
        order = msgspec.structs.replace(order, store="", prefix=prefix)
        local = len({member.node for member in self._members}) == 1
        self._store.add(OPEN, 1)
        first, *others = self._members
        self._own = RankProcess(order, 0, first.local_rank, self._pool, folder, own_group=False, local=local)
        starts = {
            rank: Command(what="start", pool=self._pool, order=order, local_rank=member.local_rank, local=local)
            for rank, member in enumerate(others, 1)
        }
        failed = [f"rank {rank} {report.ended}" for rank, report in self._asked(starts).items() if report.ended]
        if failed:
            self.close()
            raise OSError(failed[0])

    def _refuse(self) -> None:
        for rank, member in enumerate(self._members):
            if member.refused:
                raise OSError(member.refused)
            if self._store.has(lost_key(rank)):
                raise OSError(f"rank {rank} on {member.host} {self._why_lost(rank)}")

    def _why_lost(self, rank: int) -> str:
        return cleaned_text(self._store.get(lost_key(rank)).decode(errors="replace"))

    def send(self, data: bytes) -> None:
        """Send a message to every rank; the one before is no longer needed."""
        if self._number:
            self._store.delete(do_key(self._pool, self._number))
        self._number += 1
        self._store.set(do_key(self._pool, self._number), data)
        self._waiting = list(range(self._ranks))
        self._looked = monotonic()

    def receive(self, seconds: float) -> Mapping[int, bytes | None]:
        """The messages that have arrived within ``seconds``; a rank's end is reported once."""
        try:
            arrived: dict[int, bytes | None] = {**self._received(min(seconds, LOOK_SECONDS))}
            ended = self._ended()
        except ConnectionError as error:
            self._lost = dict.fromkeys(range(self._ranks), f"did not answer: {error}")
            arrived, ended = {}, [*range(self._ranks)]
        arrived |= dict.fromkeys(rank for rank in ended if rank not in self._gone)
        self._gone.update(ended)
        return arrived

    def _received(self, seconds: float) -> dict[int, bytes]:
        keys = {rank: did_key(self._pool, self._number, rank) for rank in self._waiting}
        if not keys:
            sleep(seconds)  # all have answered, with something else than was asked for
        elif not self._store.wait([*keys.values()], seconds):
            keys = {rank: key for rank, key in keys.items() if self._store.has(key)}
        if not keys:
            return {}
        arrived = dict(zip(keys, self._store.many([*keys.values()]), strict=True))
        for key in keys.values():
            self._store.delete(key)
        self._waiting = [rank for rank in self._waiting if rank not in keys]
        return arrived

    def _ended(self) -> list[int]:
        """The ranks that are waited for and have ended; where others have answered, their processes are asked."""
        if not self._waiting or monotonic() - self._looked < LOOK_SECONDS:
            return []
        ended = [rank for rank in self._waiting if self._is_known_to_have_ended(rank)]
        if not ended and len(self._waiting) < self._ranks:
            ended = [rank for rank, report in self._reports(self._waiting).items() if report.ended]
        self._looked = monotonic()
        return ended

    def _is_known_to_have_ended(self, rank: int) -> bool:
        if rank == 0:
            return bool(self._own.report().ended)
        return self._store.has(ended_key(self._pool, rank)) or self._store.has(lost_key(rank))

    def ended(self, rank: int) -> str:
        """How a rank ended."""
        return self._reports([rank])[rank].ended or "did not answer"

    def last_output(self, rank: int) -> str:
        """The last lines that it wrote."""
        return self._reports([rank])[rank].lines

    def sessions(self) -> list[int]:
        """Sessions of the ranks on this machine that are not in this process's own."""
        here = [rank for rank, member in enumerate(self._members) if rank and member.node == self._members[0].node]
        return [report.session for report in self._reports(here).values() if report.session]

    def cpu_seconds(self, rank: int) -> float:
        """Seconds that it has computed."""
        return self._reports([rank])[rank].cpu_seconds

    def dump(self, rank: int) -> None:
        """Let it write its stack."""
        if rank == 0:
            self._own.dump()
        else:
            self._asked({rank: Command(what="dump", pool=self._pool)})

    def _reports(self, ranks: Sequence[int]) -> dict[int, Report]:
        reports = self._asked({rank: Command(what="report", pool=self._pool) for rank in ranks if rank})
        return reports | ({0: self._own.report()} if 0 in ranks else {})

    def _asked(self, commands: Mapping[int, Command]) -> dict[int, Report]:
        """The replies to commands; a process that does not reply in time is lost for the whole run."""
        try:
            replies = self._replies(commands)
        except ConnectionError as error:
            self._lost = dict.fromkeys(range(self._ranks), f"did not answer: {error}")
            replies = {}
        return {rank: replies.get(rank) or Report(ended=self._lost[rank]) for rank in commands}

    def _replies(self, commands: Mapping[int, Command]) -> dict[int, Report]:
        keys: dict[int, str] = {}
        for rank, given in commands.items():
            if self._store.has(lost_key(rank)):
                self._lost[rank] = self._why_lost(rank)
            elif rank not in self._lost:
                keys[rank] = reply_key(self._store)
                command(self._store, rank, msgspec.structs.replace(given, reply=keys[rank]))
        replies: dict[int, Report] = {}
        end = monotonic() + REPLY_SECONDS
        for rank, key in keys.items():
            if self._store.wait([key], end - monotonic()):
                try:
                    report = decode(self._store.take(key), Report)
                except msgspec.MsgspecError as error:
                    self._lost[rank] = f"sent something that is not a message: {cleaned_text(str(error), 300)}"
                    continue
                texts = {"ended": cleaned_text(report.ended), "lines": cleaned_text(report.lines)}
                replies[rank] = msgspec.structs.replace(report, **texts)
                continue
            if not self._store.has(lost_key(rank)):
                self._store.set(lost_key(rank), NO_ANSWER.encode())
            self._lost[rank] = self._why_lost(rank)
        return replies

    def close(self) -> None:
        """End all of them."""
        self._own.close()
        self._asked({rank: Command(what="close", pool=self._pool) for rank in range(1, self._ranks)})
        with contextlib.suppress(ConnectionError):
            self._store.delete_all(f"{self._pool}/")
            self._store.add(OPEN, -1)
