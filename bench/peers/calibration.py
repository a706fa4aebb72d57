"""How many turns of an empty loop make a call 3 % or 5 % longer, found once and used by every tool."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import torch

from bench.peers.cases import BASE, CHOSEN, SIDES, base_of, inputs_of, with_turns

ROUNDS = 300
CHECK_ROUNDS = 600
PROBE_TURNS = 20_000


def turns_for(seconds_per_call: float, seconds_per_turn: float, factor: float) -> int:
    """Turns that make a call ``factor`` times as long."""
    return round((factor - 1) * seconds_per_call / seconds_per_turn)


def calibrate(threads: int) -> dict[str, Any]:
    """Turns per case and side, and what they make of a call as measured in alternation.

    The lower quartile of many calls is taken, of calls and turns alike: what other programs add
    comes on top of both.
    """
    torch.set_num_threads(threads)
    turns: dict[str, dict[str, int]] = {}
    measured: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    for name in CHOSEN:
        base, inputs = with_turns(base_of(name), 0), inputs_of(name)
        calls = [_timed(lambda: base(*inputs)) for _ in range(ROUNDS)]  # noqa: B023 - called at once
        seconds[name] = _quiet(calls)
        one_turn = _quiet([_timed(_loop) / PROBE_TURNS for _ in range(ROUNDS // 10)])
        turns[name] = {side: turns_for(seconds[name], one_turn, factor) for side, factor in SIDES.items()}
        measured[name] = _check(name, inputs, turns[name])
    return {"threads": threads, "turns": turns, "seconds": seconds, "measured": measured}


def _check(name: str, inputs: tuple[Any, ...], turns: dict[str, int]) -> dict[str, float]:
    """Each side's time over the base's, from single calls taken in turns."""
    sides: dict[str, Callable[..., Any]] = {
        side: with_turns(base_of(name), turns.get(side, 0)) for side in (BASE, *turns)
    }
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(CHECK_ROUNDS):
        for side, function in sides.items():
            times[side].append(_timed(lambda: function(*inputs)))  # noqa: B023 - called at once
    return {side: median(slow / whole for slow, whole in zip(times[side], times[BASE], strict=True)) for side in turns}


def _loop() -> None:
    for _ in itertools.repeat(None, PROBE_TURNS):
        pass


def _timed(call: Callable[[], Any]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _quiet(times: list[float]) -> float:
    return quantiles(times, n=4)[0]


if __name__ == "__main__":
    print(json.dumps(calibrate(int(sys.argv[1]))))
