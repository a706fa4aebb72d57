"""One pair of fresh processes, one per side: how its cases are timed, and what is known of them so far."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.cores import Cores
from torchduet.bench.duet.order import COMPILER
from torchduet.bench.duet.processes import Server, Worker
from torchduet.bench.duet.protocol import Message
from torchduet.bench.timing.pacing import OVERDRAFT, too_slow
from torchduet.bench.workers.launcher import WorkerError

# Blocks of 1 and 3 ms were no steadier, and two of 1 ms took 1.5 times as long to take (2-core VM, two threads).
BLOCK_SECONDS = 3e-4
PLACEMENTS = 12  # fresh allocations in a pair: each side has its own, so their effect does not cancel
MAX_TURNS = 12  # per placement: more turns make a pair more precise, not more accurate
SWITCH_SECONDS = 8e-4  # from the block of one process to that of the other, work around the block included
UNTIMED_CALLS = 1.5  # per pair and side, of a case with long calls: the first call and the one on fresh inputs
BASE, AGAINST = 0, 1


@dataclass(frozen=True)
class Failure:
    """Why a case has no result, and on which side: 0 for A, 1 for B, None for both."""

    side: int | None
    reason: str
    skip: bool = False


class PairError(Exception):
    """A worker gave no answer, so the family has no result; ``side`` is the side of that worker."""

    def __init__(self, side: int, reason: str) -> None:
        super().__init__(reason)
        self.side = side


@dataclass(frozen=True)
class Pace:
    """How a case is timed in every pair: calls per block and blocks per placement, the same on both sides."""

    calls: int
    turns: int
    seconds: float  # for one turn, the blocks of both sides, as measured in the first pair


@dataclass
class Ledger:
    """The state of a family's cases: how they are timed, the blocks of each pair, the failures."""

    cases: tuple[Case, ...]
    placements: int = 1
    paces: dict[Case, Pace] = field(default_factory=dict)
    blocks: dict[Case, list[tuple[list[float], list[float]]]] = field(default_factory=dict)  # per pair: A, B
    failures: dict[Case, Failure] = field(default_factory=dict)
    first: dict[Case, Message] = field(default_factory=dict)  # A's check and first call
    done: set[Case] = field(default_factory=set)  # whose interval is narrow enough
    seconds: float = 0.0  # of all pairs so far, preparation included
    pairs: int = 0
    compiler: bool = False  # whether its workers import the compiler
    left_out: dict[Case, int] = field(default_factory=dict)  # turns in which a side was suspended
    cores: Cores = field(default_factory=Cores)

    def block_seconds(self, case: Case) -> float:
        """Seconds that the blocks of a case take in one pair."""
        pace = self.paces[case]
        return self.placements * pace.turns * pace.seconds

    def preparation_seconds(self) -> float:
        """Seconds that a pair takes beside its blocks."""
        blocks = sum(map(self.block_seconds, self.paces))
        return max(0.0, self.seconds / self.pairs - blocks) if self.pairs else 0.0

    def for_confirmation(self, cases: Sequence[Case]) -> Ledger:
        """A new ledger for some of the cases, which are timed up to four times as long in each pair.

        Starting a fresh pair of interpreters takes far longer than timing a case, so each pair is used to the full.
        """
        return Ledger(
            tuple(cases),
            placements=min(2 * self.placements, PLACEMENTS),
            paces={
                case: replace(pace, turns=min(2 * pace.turns, MAX_TURNS))
                for case, pace in self.paces.items()
                if case in cases
            },
            compiler=self.compiler,
        )

    def live(self) -> list[Case]:
        """The cases that are still timed."""
        return [case for case in self.cases if case not in self.failures and case not in self.done]

    def fail(self, case: Case, failure: Failure) -> None:
        """Note that a case has failed; its blocks are removed."""
        self.failures.setdefault(case, failure)
        self.blocks.pop(case, None)


def set_paces(ledger: Ledger, seconds: Sequence[tuple[float, float]], share: float, pairs: int) -> None:
    """Decide how every live case is timed; a case that would take more than twice its share is skipped.

    Args:
        seconds: per call, of each live case on both sides.
        share: seconds for the family's blocks in one pair.
        pairs: how many pairs there will be.
    """
    fastest = {case: max(min(sides), 1e-9) for case, sides in zip(ledger.live(), seconds, strict=True)}
    times = {case: max(*sides, 1e-9) for case, sides in zip(ledger.live(), seconds, strict=True)}
    while times:
        needed = sum(2 * (1 + UNTIMED_CALLS) * call for call in times.values() if call > BLOCK_SECONDS)
        if needed <= OVERDRAFT * max(share, 1e-9):
            break
        slowest = max(times, key=lambda case: times[case])
        reason = too_slow(times[slowest], needed * pairs, share * pairs, len(times))
        del times[slowest]
        ledger.fail(slowest, Failure(None, reason, skip=True))
    affordable = []  # turns per pair, of each case
    for case in times:
        calls = max(1, round(BLOCK_SECONDS / fastest[case]))
        turn = 2 * (calls * fastest[case] + SWITCH_SECONDS)
        affordable.append(int(share / len(times) / turn))
        ledger.paces[case] = Pace(calls, 1, turn)
    ledger.placements = max(1, min(PLACEMENTS, *affordable)) if affordable else 1
    for (case, pace), turns in zip(list(ledger.paces.items()), affordable, strict=True):
        per_placement = max(1, min(MAX_TURNS, turns // ledger.placements))
        ledger.paces[case] = Pace(pace.calls, per_placement, pace.seconds)


def random_order(rng: random.Random) -> list[int]:
    """Both sides in random order.

    The side that acts first may gain or lose by it (in memory or in its core) for as long as its process lives. With a
    random order this is noise between pairs, which the interval includes.
    """
    return rng.sample((BASE, AGAINST), 2)


@contextlib.contextmanager
def workers(
    servers: tuple[Server, Server], rng: random.Random, *, compiler: bool = False
) -> Iterator[tuple[Worker, Worker]]:
    """A fresh worker on each side; both are ended afterwards, whatever happens.

    Args:
        compiler: import the compiler once, in the server, before the workers are forked.
    """
    forked: dict[int, Worker] = {}
    ends = socket.socketpair()  # the connection between the two, over which they hand over to each other
    try:
        with ends[BASE], ends[AGAINST]:
            for side in random_order(rng):
                with named(side):
                    if compiler:
                        servers[side].load(COMPILER)
                    forked[side] = servers[side].fork(ends[side])
        yield forked[BASE], forked[AGAINST]
    finally:
        for worker in forked.values():
            worker.end()


@contextlib.contextmanager
def named(side: int) -> Iterator[None]:
    """A worker that gives no answer within this context is that of this side: its error becomes a PairError."""
    try:
        yield
    except WorkerError as error:
        raise PairError(side, str(error)) from None


def turn_of(pair: tuple[Worker, Worker], side: int, message: Message) -> Message:
    """One side's answer.

    Raises:
        PairError: its worker gave none.
    """
    with named(side):
        return pair[side].turn(message)


def prepare(
    pair: tuple[Worker, Worker], orders: tuple[Message, Message], ledger: Ledger, rng: random.Random, *, first: bool
) -> list[tuple[float, float]]:
    """Inputs, first calls, checks and warm-up on both sides; returns seconds per call of each live case on both.

    In the first pair one side prepares after the other, so that first calls are timed without load; later both at once.

    Raises:
        PairError: a worker gave no answer.
    """
    cases = ledger.live()
    received: dict[int, tuple[Message, Message]] = {}
    waiting = [(side, pair[side]) for side in random_order(rng)]
    if not first:
        for side, worker in waiting:
            with named(side):
                worker.send(orders[side])
    for side, worker in waiting:
        with named(side):
            if first:
                worker.send(orders[side])
            received[side] = worker.receive(), worker.receive()
            worker.pause()
    answers = received[BASE], received[AGAINST]
    for worker in pair:
        worker.stops = not all(warm["idle"] for _, warm in answers)
    ledger.compiler = any(warm["compiler"] for _, warm in answers)
    for side, (prepared, warm) in enumerate(answers):
        for case, result, speed in zip(cases, prepared["cases"], warm["cases"], strict=True):
            if result["skip"] is not None:
                ledger.fail(case, Failure(side, result["skip"], skip=True))
            elif reason := result["error"] or speed["error"]:
                ledger.fail(case, Failure(side, reason))
            elif side == BASE and first:
                ledger.first[case] = result
    seconds = zip(*([speed["seconds"] for speed in warm["cases"]] for _, warm in answers), strict=True)
    return [sides for case, sides in zip(cases, seconds, strict=True) if case not in ledger.failures]
