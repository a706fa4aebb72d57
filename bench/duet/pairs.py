"""A family's pairs of fresh processes, one per side: how its cases are timed in each, and why some are not."""

from __future__ import annotations

import contextlib
import random
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import ContextSwitches
from torchduet.bench.duet.cores import Cores
from torchduet.bench.duet.order import COMPILER
from torchduet.bench.duet.processes import Server
from torchduet.bench.duet.side_worker import Worker
from torchduet.bench.plan.family_time import OVERDRAFT, too_slow
from torchduet.bench.received.channel import Message
from torchduet.bench.received.sides import (
    Done,
    Peaks,
    Prepared,
    PreparedCase,
    Warm,
    WarmCase,
    check_number,
    check_prepared,
    only,
)
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.record.visits.sides import MIN_PAIRS
from torchduet.bench.workers.launcher import WorkerError

# Blocks of 1 and 3 ms were no steadier, and two of 1 ms took 1.5 times as long to take (2-core VM, two threads).
BLOCK_SECONDS = 3e-4
PAIR_SECONDS = 0.06  # for the blocks of a case in one pair, on both sides together
MAX_PLACEMENTS = 6  # fresh allocations in a pair: each side has its own, so their effect does not cancel
MAX_TURNS = 12  # per placement: more turns make a pair more precise, not more accurate
SWITCH_SECONDS = 2e-4  # from the block of one process to that of the other, work around the block included
UNTIMED_CALLS = 1.5  # per pair and side, of a case with long calls: the first call and the one on fresh inputs
BASE, AGAINST = 0, 1
Kind = TypeVar("Kind")

Blocks = tuple[list[list[float]], list[list[float]]]  # A's and B's: seconds per call, per placement and turn


@dataclass(frozen=True)
class Failure:
    """Why a case has no result, and on which side: 0 for A, 1 for B, None for both."""

    side: int | None
    reason: str
    skip: bool = False


class PairError(Exception):
    """A worker gave no answer, so the pair has no result; ``side`` is the side of that worker."""

    def __init__(self, side: int, reason: str) -> None:
        super().__init__(reason)
        self.side = side


@dataclass(frozen=True)
class Pace:
    """How a case is timed in every pair, the same on both sides.

    Attributes:
        calls: per block.
        warm_up_calls: untimed, before each block.
        placements: in which it is timed.
        turns: per placement.
        seconds: for one turn, the blocks of both sides, as expected from the first pair.
    """

    calls: int
    warm_up_calls: int
    placements: int
    turns: int
    seconds: float

    @property
    def timing(self) -> float:
        """Seconds for its blocks in one pair."""
        return self.placements * self.turns * self.seconds


@dataclass
class Ledger:
    """A family's cases over all of its pairs.

    Attributes:
        first: A's check and first call of each case, from the first pair.
        settled: the cases that need no further pairs.
        pairs: how many were taken.
        compiler: whether its workers import the compiler.
        restores: whether both sides put inputs back before every call, as decided in the first pair; None where no call
            changes any. One side alone would be timed in another state.
    """

    cases: tuple[Case, ...]
    paces: dict[Case, Pace] = field(default_factory=dict)
    failures: dict[Case, Failure] = field(default_factory=dict)
    first: dict[Case, PreparedCase] = field(default_factory=dict)
    settled: set[Case] = field(default_factory=set)
    pairs: int = 0
    compiler: bool = False
    restores: bool | None = None
    cores: Cores = field(default_factory=Cores)

    def live(self) -> list[Case]:
        """The cases that are still timed."""
        return [case for case in self.cases if case not in self.failures and case not in self.settled]

    def fail(self, case: Case, failure: Failure) -> None:
        """Note that a case has failed."""
        self.failures.setdefault(case, failure)


@dataclass
class Taken:
    """What one pair has measured.

    Attributes:
        left_out: turns in which a side was suspended.
        switches: context switches during the blocks of both sides.
        address_sets: of cases on accelerators, how many sets of addresses of the inputs differ, on the side with fewer.
        peaks: bytes that a call holds at most beyond its inputs, on A and on B, of the first pair.
        stages: seconds by stage.
    """

    blocks: dict[Case, Blocks] = field(default_factory=dict)
    left_out: Counter[Case] = field(default_factory=Counter)
    switches: dict[Case, ContextSwitches] = field(default_factory=dict)
    address_sets: dict[Case, int] = field(default_factory=dict)
    peaks: dict[Case, tuple[int, int]] = field(default_factory=dict)
    telemetry: Telemetry | None = None
    stages: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def seconds(self) -> float:
        """Seconds of all blocks."""
        return sum(switches.seconds for switches in self.switches.values())


def set_paces(ledger: Ledger, speeds: Sequence[tuple[WarmCase, WarmCase]], share: float) -> None:
    """Decide how every live case is timed; a case whose fewest pairs would take more than twice the share is skipped.

    Args:
        speeds: of each live case on both sides: seconds per call, and untimed calls before a block.
        share: seconds for all of the family's pairs.
    """
    speed = dict(zip(ledger.live(), speeds, strict=True))
    times = {case: max(*(side["seconds"] for side in sides), 1e-9) for case, sides in speed.items()}
    while times:
        needed = MIN_PAIRS * sum(2 * (1 + UNTIMED_CALLS) * call for call in times.values() if call > BLOCK_SECONDS)
        if needed <= OVERDRAFT * max(share, 1e-9):
            break
        slowest = max(times, key=lambda case: times[case])
        reason = too_slow(times[slowest], needed, share, len(times))
        del times[slowest]
        ledger.fail(slowest, Failure(None, reason, skip=True))
    for case in times:
        fastest = max(min(side["seconds"] for side in speed[case]), 1e-9)
        calls = max(1, round(BLOCK_SECONDS / fastest))
        seconds = 2 * (calls * fastest + SWITCH_SECONDS)
        turns = max(1, int(PAIR_SECONDS / seconds))
        placements = min(MAX_PLACEMENTS, turns)
        warm_up_calls = max(side["warm_up_calls"] for side in speed[case])
        ledger.paces[case] = Pace(calls, warm_up_calls, placements, min(MAX_TURNS, turns // placements), seconds)


def random_order(rng: random.Random) -> list[int]:
    """Both sides in random order.

    The side that acts first may gain or lose by it as long as its process lives: so this is noise between pairs.
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


def turn_of(pair: tuple[Worker, Worker], side: int, message: Message, kind: type[Kind]) -> Kind:
    """One side's answer, of this kind.

    Raises:
        PairError: its worker gave none.
    """
    with named(side):
        return pair[side].turn(message, kind)


def prepare(
    pair: tuple[Worker, Worker], orders: tuple[Message, Message], ledger: Ledger, rng: random.Random, *, first: bool
) -> list[tuple[WarmCase, WarmCase]]:
    """Inputs, first calls, checks and warm-up on both sides; returns what both say of the speed of each live case.

    In the first pair one side prepares after the other, so that first calls are timed without load; later both at once.

    Raises:
        PairError: a worker gave no answer.
    """
    cases = ledger.live()
    received: dict[int, tuple[Prepared, Warm]] = {}
    waiting = [(side, pair[side]) for side in random_order(rng)]
    if not first:
        for side, worker in waiting:
            with named(side):
                worker.send(orders[side])
    for side, worker in waiting:
        with named(side):
            if first:
                worker.send(orders[side])
            prepared = worker.receive(Prepared)
            with worker.held_to_account():
                check_prepared(prepared, len(cases), checked=first)
            warm = worker.receive(Warm)
            with worker.held_to_account():
                check_number(warm["cases"], len(cases), "cases")
            received[side], worker.stages = (prepared, warm), prepared["seconds"]
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
    _agree(pair, ledger, [warm["restores"] for _, warm in answers])
    speeds = zip(*(warm["cases"] for _, warm in answers), strict=True)
    return [both for case, both in zip(cases, speeds, strict=True) if case not in ledger.failures]


def _agree(pair: tuple[Worker, Worker], ledger: Ledger, decided: Sequence[bool | None]) -> None:
    """Let both sides put inputs back before every call, or neither: each decides by its own times, which scatter."""
    known = [one for one in decided if one is not None]
    if not known:
        return
    if ledger.restores is None:
        ledger.restores = all(known)
    for side, one in enumerate(decided):
        if one is not None and one != ledger.restores:
            turn_of(pair, side, {"do": "restore", "active": ledger.restores}, Done)


def peak_memory(pair: tuple[Worker, Worker], order: Sequence[Case]) -> dict[Case, tuple[int, int]]:
    """The peak memory of each case on both sides, where both have a figure.

    A worker that gives no answer has none: the timing stands.

    Args:
        order: the cases in the order in which the workers received them.
    """
    try:
        base, against = (turn_of(pair, side, {"do": "memory"}, Peaks)["peaks"] for side in (BASE, AGAINST))
        for side, peaks in enumerate((base, against)):
            with named(side), pair[side].held_to_account():
                only(peaks, range(len(order)))
    except PairError:
        return {}
    return {order[int(index)]: (base[index], against[index]) for index in base if index in against}
