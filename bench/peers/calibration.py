"""Measures how many turns of an empty loop make a call 3 % or 5 % longer, once for all tools."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from torchduet.bench.peers.cases import BASE, SIDES, WORKLOADS, base_of, inputs_of, prepare_process, with_turns

ROUNDS = 400
PROBE_TURNS = 10_000


def turns_for(calls_per_turn: float, factor: float) -> int:
    """Turns that make a call ``factor`` times as long.

    Args:
        calls_per_turn: the time of one turn, as a share of a call.
    """
    return round((factor - 1) / calls_per_turn)


def calibrate(threads: int) -> dict[str, Any]:
    """Turns per case and side, and the slow-down that they cause; call and loop are timed in alternation.

    Whatever slows the machine down for a while slows both down, so their ratio hardly changes; its median is used.
    """
    prepare_process(threads)
    turns: dict[str, dict[str, int]] = {}
    measured: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    for name in WORKLOADS:
        base, inputs = with_turns(base_of(name), 0), inputs_of(name)
        calls, loops = [], []
        for _ in range(ROUNDS):
            base(*inputs)
            calls.append(_timed(base, *inputs))
            loops.append(_timed(_loop) / PROBE_TURNS)
        share = median(loop / call for loop, call in zip(loops, calls, strict=True))
        seconds[name] = median(calls)
        turns[name] = {side: turns_for(share, factor) for side, factor in SIDES.items()}
        measured[name] = _check(name, inputs, turns[name])
    return {"threads": threads, "turns": turns, "seconds": seconds, "measured": measured}


def _check(name: str, inputs: tuple[Any, ...], turns: dict[str, int]) -> dict[str, float]:
    """The time of each side over that of the base, from single calls in alternation, each after an untimed one."""
    sides = {side: with_turns(base_of(name), turns.get(side, 0)) for side in (BASE, *turns)}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, function in sides.items():
            function(*inputs)
            times[side].append(_timed(function, *inputs))
    return {side: median(slow / base for slow, base in zip(times[side], times[BASE], strict=True)) for side in turns}


def _loop() -> None:
    for _ in itertools.repeat(None, PROBE_TURNS):
        pass


def _timed(call: Callable[..., Any], *inputs: Any) -> float:
    start = perf_counter()
    call(*inputs)
    return perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(calibrate(int(sys.argv[1]))))
