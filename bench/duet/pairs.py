"""One pair of fresh processes, one per side: a family's cases timed block by block, never both at once."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.cores import Cores
from torchduet.bench.duet.order import COMPILER
from torchduet.bench.duet.processes import Server, Worker
from torchduet.bench.duet.protocol import Message
from torchduet.bench.host.suspension import MAX_RETAKES
from torchduet.bench.timing.pacing import OVERDRAFT, PLACEMENT_OVERDRAFT, too_slow
from torchduet.bench.workers.launcher import WorkerError

# Blocks of 1 and 3 ms were no steadier, and two of 1 ms took 1.5 times as long to take (2-core VM, two threads).
BLOCK_SECONDS = 3e-4
PLACEMENTS = 12  # fresh allocations in a pair: the sides cannot share theirs, so that it does not cancel
MAX_TURNS = 12  # per placement: more say how precise the pair is, not how right
SWITCH_SECONDS = 8e-4  # from one process's block to the other's, with what is done around the block
CALLS_BESIDE = 1.5  # per pair and side: the first call and the one on fresh inputs, of long calls
BASE, AGAINST = 0, 1


@dataclass(frozen=True)
class Failure:
    """Why a case has no result, and on which side: 0 for A, 1 for B, None for both."""

    side: int | None
    reason: str
    skip: bool = False


class PairError(Exception):
    """A worker gave no answer: the family has no result; ``side`` says whose worker it was."""

    def __init__(self, side: int, reason: str) -> None:
        super().__init__(reason)
        self.side = side


@dataclass(frozen=True)
class Pace:
    """How a case is timed in every pair: calls per block and blocks per placement, the same on both sides."""

    calls: int
    turns: int
    seconds: float  # of both sides' blocks of one turn, as of the first pair


@dataclass
class Ledger:
    """What is known of a family's cases: how to time them, what came of each pair, what failed."""

    cases: tuple[Case, ...]
    placements: int = 1
    paces: dict[Case, Pace] = field(default_factory=dict)
    blocks: dict[Case, list[tuple[list[float], list[float]]]] = field(default_factory=dict)  # per pair: A, B
    failures: dict[Case, Failure] = field(default_factory=dict)
    first: dict[Case, Message] = field(default_factory=dict)  # A's check and first call
    done: set[Case] = field(default_factory=set)  # known precisely enough
    seconds: float = 0.0  # what its pairs have taken, all in all
    pairs: int = 0
    compiler: bool = False  # whether its workers import the compiler
    left_out: dict[Case, int] = field(default_factory=dict)  # turns in which a side was stopped or suspended
    cores: Cores = field(default_factory=Cores)

    def timed(self, case: Case) -> float:
        """Seconds that a case's blocks take in one pair."""
        pace = self.paces[case]
        return self.placements * pace.turns * pace.seconds

    def preparing(self) -> float:
        """Seconds that a pair takes beside its blocks."""
        blocks = sum(map(self.timed, self.paces))
        return max(0.0, self.seconds / self.pairs - blocks) if self.pairs else 0.0

    def confirming(self, cases: Sequence[Case]) -> Ledger:
        """A new ledger for some of the cases, in whose pairs they are timed up to four times as long.

        Starting a fresh pair of interpreters takes far longer than timing a case: each should tell its utmost.
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
        """A case has failed; what was measured of it is not used."""
        self.failures.setdefault(case, failure)
        self.blocks.pop(case, None)


def set_paces(ledger: Ledger, seconds: Sequence[tuple[float, float]], share: float, pairs: int) -> None:
    """Decide how every live case is timed; what cannot be timed within twice its share is left out.

    Args:
        seconds: per call, of each live case on both sides.
        share: seconds for the family's blocks in one pair.
        pairs: how many pairs there will be.
    """
    fastest = {case: max(min(both), 1e-9) for case, both in zip(ledger.live(), seconds, strict=True)}
    times = {case: max(*both, 1e-9) for case, both in zip(ledger.live(), seconds, strict=True)}
    while times:
        needed = sum(2 * (1 + CALLS_BESIDE) * one for one in times.values() if one > BLOCK_SECONDS)
        if needed <= OVERDRAFT * max(share, 1e-9):
            break
        slowest = max(times, key=lambda case: times[case])
        reason = too_slow(times.pop(slowest), needed * pairs, share * pairs)
        ledger.fail(slowest, Failure(None, reason, skip=True))
    fitting = []
    for case in times:
        calls = max(1, round(BLOCK_SECONDS / fastest[case]))
        turn = 2 * (calls * fastest[case] + SWITCH_SECONDS)
        fitting.append(int(share / len(times) / turn))
        ledger.paces[case] = Pace(calls, 1, turn)
    ledger.placements = max(1, min(PLACEMENTS, *fitting)) if fitting else 1
    for (case, pace), room in zip(list(ledger.paces.items()), fitting, strict=True):
        turns = max(1, min(MAX_TURNS, room // ledger.placements))
        ledger.paces[case] = Pace(pace.calls, turns, pace.seconds)


def in_turn(rng: random.Random) -> list[int]:
    """Both sides in random order.

    Whatever one side does first it may be the better or the worse off for, as long as its process lives: which
    memory and which core it gets. Without a fixed order that is noise between pairs, which the interval knows.
    """
    return rng.sample((BASE, AGAINST), 2)


@contextlib.contextmanager
def workers(
    servers: tuple[Server, Server], rng: random.Random, *, compiler: bool = False
) -> Iterator[tuple[Worker, Worker]]:
    """A fresh worker on each side; both are ended afterwards, whatever happens.

    Args:
        compiler: they will import the compiler: that is done once, by the server.
    """
    made: dict[int, Worker] = {}
    try:
        for side in in_turn(rng):
            with _named(side):
                if compiler:
                    servers[side].load(COMPILER)
                made[side] = servers[side].fork()
        yield made[BASE], made[AGAINST]
    finally:
        for worker in made.values():
            worker.end()


@contextlib.contextmanager
def _named(side: int) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        raise PairError(side, str(error)) from None


def turn_of(pair: tuple[Worker, Worker], side: int, message: Message) -> Message:
    """One side's answer.

    Raises:
        PairError: its worker gave none.
    """
    with _named(side):
        return pair[side].turn(message)


def prepare(
    pair: tuple[Worker, Worker], orders: tuple[Message, Message], ledger: Ledger, rng: random.Random, *, first: bool
) -> list[tuple[float, float]]:
    """Inputs, first calls, checks and warm-up on both sides; seconds per call of each live case on both.

    In the first pair one side after the other, so that the first calls' times mean something; later at once.

    Raises:
        PairError: a worker gave no answer.
    """
    cases = ledger.live()
    said: dict[int, tuple[Message, Message]] = {}
    waiting = [(side, pair[side]) for side in in_turn(rng)]
    if not first:
        for side, worker in waiting:
            with _named(side):
                worker.send(orders[side])
    for side, worker in waiting:
        with _named(side):
            if first:
                worker.send(orders[side])
            said[side] = worker.receive(), worker.receive()
            worker.pause()
    answers = said[BASE], said[AGAINST]
    ledger.compiler = any(warm["compiler"] for _, warm in answers)
    for side, (prepared, warm) in enumerate(answers):
        for case, one, speed in zip(cases, prepared["cases"], warm["cases"], strict=True):
            if one["skip"] is not None:
                ledger.fail(case, Failure(side, one["skip"], skip=True))
            elif reason := one["error"] or speed["error"]:
                ledger.fail(case, Failure(side, reason))
            elif side == BASE and first:
                ledger.first[case] = one
    both = zip(*([speed["seconds"] for speed in warm["cases"]] for _, warm in answers), strict=True)
    return [pace for case, pace in zip(cases, both, strict=True) if case not in ledger.failures]


def time_blocks(pair: tuple[Worker, Worker], order: Sequence[Case], ledger: Ledger, rng: random.Random) -> None:
    """Placements × turns: each turn one block of a case on both sides, in random order.

    Args:
        order: the cases as the workers were given them.

    Raises:
        PairError: a worker gave no answer.
    """
    places = {case: place for place, case in enumerate(order)}
    taken: dict[Case, tuple[list[float], list[float]]] = {case: ([], []) for case in ledger.live() if case in places}
    for _ in range(ledger.placements):
        _fresh(pair, places, ledger, rng)
        turns = [case for case in taken if case not in ledger.failures for _ in range(ledger.paces[case].turns)]
        rng.shuffle(turns)
        deadline = monotonic() + PLACEMENT_OVERDRAFT * sum(ledger.paces[case].seconds for case in turns)
        for case in turns:
            if case in ledger.failures or (monotonic() > deadline and taken[case][BASE]):
                continue  # others took the machine: fewer turns
            _turn(pair, case, places[case], taken[case], ledger, rng)
    for side, worker in enumerate(pair):
        with _named(side):
            for place, reason in worker.turn({"do": "finite"})["errors"].items():
                ledger.fail(order[int(place)], Failure(side, reason))
    for case, both in taken.items():
        if case not in ledger.failures:
            ledger.blocks.setdefault(case, []).append(both)


def _fresh(pair: tuple[Worker, Worker], places: dict[Case, int], ledger: Ledger, rng: random.Random) -> None:
    cores = rng.sample(ledger.cores.spread, len(ledger.cores.spread))
    for side in in_turn(rng):
        live = {str(place): case for case, place in places.items() if case not in ledger.failures}
        answer = turn_of(pair, side, {"do": "fresh", "cases": [int(place) for place in live], "cores": cores})
        for place, reason in answer["errors"].items():
            ledger.fail(live[place], Failure(side, reason))


def _turn(
    pair: tuple[Worker, Worker],
    case: Case,
    place: int,
    taken: tuple[list[float], list[float]],
    ledger: Ledger,
    rng: random.Random,
) -> None:
    for again in range(MAX_RETAKES + 1):
        seconds, paused = _both_sides(pair, case, place, ledger, rng)
        if paused:
            ledger.left_out[case] = ledger.left_out.get(case, 0) + 1
        if not paused or again == MAX_RETAKES:
            break
    if case not in ledger.failures:
        for side in (BASE, AGAINST):
            taken[side].append(seconds[side])


def _both_sides(
    pair: tuple[Worker, Worker], case: Case, place: int, ledger: Ledger, rng: random.Random
) -> tuple[list[float], bool]:
    """One block on each side: seconds per call, and whether one of them stood still in it."""
    message = {"do": "block", "case": place, "calls": ledger.paces[case].calls}
    seconds, paused = [0.0, 0.0], False
    cores = ledger.cores.shared
    for side in in_turn(rng):
        if cores:
            pair[side].keep_to(cores)
        answer = turn_of(pair, side, message)
        if "error" in answer:
            ledger.fail(case, Failure(side, answer["error"]))
            break
        seconds[side], paused = answer["seconds"], paused or answer["paused"] > 0
        if cores and answer["cpu"] is not None:
            cores = {answer["cpu"]}  # the other side on the same core: what disturbs one disturbs both
    return seconds, paused
