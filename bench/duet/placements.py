"""Times a pair's placements: the two sides alternate block by block by themselves; this process waits for both."""

from __future__ import annotations

import random
import select
from collections.abc import Callable, Sequence
from time import monotonic

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import ContextSwitches
from torchduet.bench.duet import process_groups
from torchduet.bench.duet.pairs import (
    AGAINST,
    BASE,
    Blocks,
    Failure,
    Ledger,
    PairError,
    Taken,
    named,
    random_order,
    turn_of,
)
from torchduet.bench.duet.processes import ANSWER_SECONDS
from torchduet.bench.duet.side_worker import Worker
from torchduet.bench.host.counters import Gauge
from torchduet.bench.host.suspension import awake
from torchduet.bench.received.channel import Channel, Message
from torchduet.bench.received.cleaned import GarbageError
from torchduet.bench.received.sides import Done, Errors, Finite, Turns, Waits, check_number, only
from torchduet.bench.record.schema import HANDING_OVER
from torchduet.bench.timing.pacing import PLACEMENT_OVERDRAFT
from torchduet.bench.workers.launcher import SILENT_SECONDS

Pair = tuple[Worker, Worker]
TRIM_SECONDS = 10.0  # between two looks at the length of the workers' output


def time_blocks(
    pair: Pair, order: Sequence[Case], ledger: Ledger, rng: random.Random, report: Callable[[], None] = lambda: None
) -> Taken:
    """Placements × turns: each turn one block of a case on both sides, in random order.

    Args:
        order: the cases in the order in which the workers received them.
        report: called before each placement; an exception ends the pair.

    Raises:
        PairError: a worker gave no answer.
    """
    taken = Taken()
    blocks: dict[Case, Blocks] = {case: ([], []) for case in ledger.live() if case in ledger.paces}
    gauge = Gauge(sessions=[worker.pid for worker in pair])
    for number in range(max((ledger.paces[case].placements for case in blocks), default=0)):
        cases = [case for case in blocks if ledger.paces[case].placements > number]
        report()
        gauge.sample()
        began = awake()
        _new_placement(pair, order, cases, ledger, rng)
        taken.stages["warming"] += (moved := awake()) - began
        _take_turns(pair, order, [case for case in cases if case not in ledger.failures], blocks, ledger, taken, rng)
        taken.stages[HANDING_OVER] += awake() - moved
    taken.telemetry = gauge.finish()
    began = awake()
    for side, worker in enumerate(pair):
        with named(side):
            answer = worker.turn({"do": "finite"}, Finite)
            with worker.held_to_account():
                for of in (answer["errors"], answer["switches"], answer["address_sets"]):
                    only(of, range(len(order)))
        for index, reason in answer["errors"].items():
            ledger.fail(order[int(index)], Failure(side, reason))
        for index, (number, interrupted, switches, seconds) in answer["switches"].items():
            total = taken.switches.setdefault(order[int(index)], ContextSwitches())
            total.blocks += number
            total.interrupted += interrupted
            total.switches += switches
            total.seconds += seconds
        for index, sets in answer["address_sets"].items():
            case = order[int(index)]
            taken.address_sets[case] = min(sets, taken.address_sets.get(case, sets))
    taken.stages["checking"] += awake() - began
    taken.stages["timed"] = taken.seconds
    taken.stages[HANDING_OVER] = max(0.0, taken.stages[HANDING_OVER] - taken.seconds)
    taken.blocks = {case: both for case, both in blocks.items() if case not in ledger.failures and both[BASE]}
    return taken


def _new_placement(
    pair: Pair, order: Sequence[Case], cases: Sequence[Case], ledger: Ledger, rng: random.Random
) -> None:
    cores = rng.sample(ledger.cores.spread, len(ledger.cores.spread))
    for side in random_order(rng):
        live = [order.index(case) for case in cases if case not in ledger.failures]
        answer = turn_of(pair, side, {"do": "fresh", "cases": live, "cores": cores}, Errors)
        with named(side), pair[side].held_to_account():
            only(answer["errors"], live)
        for index, reason in answer["errors"].items():
            ledger.fail(order[int(index)], Failure(side, reason))


def _take_turns(
    pair: Pair,
    order: Sequence[Case],
    cases: Sequence[Case],
    blocks: dict[Case, Blocks],
    ledger: Ledger,
    taken: Taken,
    rng: random.Random,
) -> None:
    """Let both sides take the turns of one placement of these cases; adds their blocks."""
    turns = [case for case in cases for _ in range(ledger.paces[case].turns)]
    if not turns:
        return
    rng.shuffle(turns)
    firsts = [random_order(rng)[0] for _ in turns]
    seconds = PLACEMENT_OVERDRAFT * sum(ledger.paces[case].seconds for case in turns)
    indices = {case: order.index(case) for case in cases}
    message = {
        "do": "turns",
        "turns": [(indices[case], first) for case, first in zip(turns, firsts, strict=True)],
        "paces": [(indices[case], ledger.paces[case].calls, ledger.paces[case].warm_up_calls) for case in cases],
        "timed": [indices[case] for case in cases if blocks[case][BASE]],
        "seconds": seconds,
        "cores": sorted(ledger.cores.shared),
        "stops": pair[BASE].stops,
    }
    answers = _both(pair, message, firsts[0], SILENT_SECONDS + seconds)
    for side, answer in enumerate(answers):
        with named(side), pair[side].held_to_account():
            if "blocks" not in answer or "errors" not in answer or "left_out" not in answer:
                raise GarbageError("it has no blocks")
            for of in (answer["errors"], answer["left_out"]):
                only(of, indices.values())
            check_number(answer["blocks"], len(turns), "blocks")
        for index, reason in answer["errors"].items():
            ledger.fail(order[int(index)], Failure(side, reason))
        for index, number in answer["left_out"].items():
            taken.left_out[order[int(index)]] += number
    placement: dict[Case, tuple[list[float], list[float]]] = {case: ([], []) for case in cases}
    for case, base, against in zip(turns, answers[BASE]["blocks"], answers[AGAINST]["blocks"], strict=True):
        if base is not None and against is not None:
            placement[case][BASE].append(base)
            placement[case][AGAINST].append(against)
    for case, both in placement.items():
        for side in (BASE, AGAINST):
            if both[side]:  # none if other load slowed the machine
                blocks[case][side].append(both[side])


def _both(pair: Pair, message: Message, begins: int, seconds: float) -> tuple[Turns, Turns]:
    """The answers of both sides to a message.

    Args:
        begins: the side that acts first; the other one is continued by it.
        seconds: within which one of them must answer.

    Raises:
        PairError: a worker gave no answer.
    """
    for side in (1 - begins, begins):
        with named(side):
            resume = side == begins or not pair[side].stops
            pair[side].send({**message, "side": side, "peer": pair[1 - side].pid}, resume=resume)
    answers: dict[int, Turns] = {}
    while len(answers) < len(pair):
        waiting = {pair[side].channel: side for side in (BASE, AGAINST) if side not in answers}
        ready = _ready(pair, list(waiting), seconds)
        if not ready:
            _end_silent(pair, list(waiting.values()), seconds)
        for side in map(waiting.__getitem__, ready):
            with named(side):
                answers[side] = pair[side].receive(Turns)
            if answers[side].get("lost"):
                with named(1 - side):
                    pair[1 - side].receive(Done, ANSWER_SECONDS)  # raises: it has ended
                raise PairError(side, "lost its connection to the other side")
    for worker in pair:
        worker.pause()
    return answers[BASE], answers[AGAINST]


def _ready(pair: Pair, channels: Sequence[Channel], seconds: float) -> Sequence[Channel]:
    """The channels that can be read; none if that takes longer than ``seconds``."""
    deadline = monotonic() + seconds
    while (left := deadline - monotonic()) > 0:
        ready, _, _ = select.select(channels, [], [], min(left, TRIM_SECONDS))
        if ready:
            return ready
        for worker in pair:
            worker.trim()
    return ()


def _end_silent(pair: Pair, sides: Sequence[int], seconds: float) -> None:
    """Find out which of these sides holds the token and gives no sign of life.

    Raises:
        PairError: always.
    """
    for side in sides:
        process_groups.resume(pair[side].pid)
        with named(side):
            pair[side].send({"do": "waiting"})
    for side in sides:
        with named(side):
            if not pair[side].receive(Waits, ANSWER_SECONDS, after=seconds).get("waiting"):
                break
    raise PairError(sides[0], f"took no turn for {seconds:.0f} s")
