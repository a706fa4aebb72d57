"""``torchduet selfcheck levels``: which level carries the variance of a speed-up: interpreters, forks or placements.

Several fresh interpreters, each with a fork server of its own, are alive at once. Fresh workers of all of them visit
all pairs of cases, in random order, so that no level coincides with a time.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean, median
from time import monotonic
from typing import Any

from torchduet.bench.host.machine import probe
from torchduet.bench.record.statistics import lag_one_correlation
from torchduet.bench.selfcheck.levels_host import PROGRAM
from torchduet.bench.selfcheck.levels_pairs import PAIRS
from torchduet.bench.selfcheck.variance import SEED, chance, levels

HEAD = (
    "| pair | time of the first / time of the second | sd between interpreters | sd between forks of one "
    "| what a fork's own placements predict | F of the interpreters (chance) | lag-one correlation in time "
    "| s per visit |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)
Results = dict[str, Any]


class LevelsError(Exception):
    """A visit or an interpreter failed; the message says why."""


@dataclass(frozen=True)
class Design:
    """The numbers of each level, and the seconds of timing of a visit."""

    interpreters: int = 6
    forks: int = 7
    placements: int = 4
    seconds: float = 0.45
    threads: int = 1


def order(design: Design, pairs: int, rng: random.Random) -> Iterator[tuple[int, int]]:
    """(pair, interpreter) of all visits in the order in which they are made.

    Each round visits every pair once, in random order. In as many rounds as there are interpreters each pair is visited
    by each of these once, in random order: wherever the visits end, the design is almost balanced.
    """
    numbers = range(design.interpreters)
    for _ in range(design.forks):
        interpreters = [rng.sample(numbers, len(numbers)) for _ in range(pairs)]
        for turn in numbers:
            for pair in rng.sample(range(pairs), pairs):
                yield pair, interpreters[pair][turn]


class Interpreter:
    """A process that makes visits (:mod:`torchduet.bench.selfcheck.levels_host`)."""

    def __init__(self, process: subprocess.Popen[str], settings: Mapping[str, Any]) -> None:
        self._process = process
        self._send(settings)

    def ready(self) -> None:
        """Wait until its fork server has imported torch.

        Raises:
            LevelsError: it has ended.
        """
        self._receive()

    def visit(self, pair: int) -> dict[str, Any]:
        """Make one visit.

        Raises:
            LevelsError: the visit failed.
        """
        self._send({"pair": pair})
        answer = self._receive()
        if "error" in answer:
            raise LevelsError(f"{PAIRS[pair].name}: {answer['error']}")
        return answer

    def _send(self, value: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LevelsError("an interpreter has ended; its message is above") from None

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LevelsError("an interpreter has ended; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def interpreters(number: int, settings: Mapping[str, Any]) -> Iterator[list[Interpreter]]:
    """Start fresh interpreters; they end with the context."""
    command = [sys.executable, "-c", PROGRAM]
    with ExitStack() as stack:
        processes = []
        for _ in range(number):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes.append(stack.enter_context(process))
            assert process.stdin is not None
            stack.callback(process.stdin.close)  # which ends it, before its end is awaited
        yield [Interpreter(process, settings) for process in processes]


def measure(design: Design, report: Callable[[str], None], pairs: Sequence[int] = tuple(range(len(PAIRS)))) -> Results:
    """Make all visits, or those up to Ctrl-C.

    Args:
        report: gets a line at the beginning of each stage and now and then.
        pairs: indices into ``PAIRS``.

    Raises:
        LevelsError: a visit failed.
    """
    facts = probe().facts()
    rng = random.Random(SEED)
    visits: list[list[dict[str, Any]]] = [[] for _ in pairs]
    with tempfile.TemporaryDirectory(prefix="torchduet-levels-", ignore_cleanup_errors=True) as cache:
        settings = {"threads": design.threads, "seconds": design.seconds, "placements": design.placements}
        with interpreters(design.interpreters, {**settings, "cache": cache}) as hosts:
            report(f"starting {design.interpreters} interpreters")
            for host in hosts:
                host.ready()
            report("a first visit to every pair, which compiles and is not counted")
            compiling = [hosts[0].visit(pair)["first_calls"] for pair in pairs]
            planned = list(order(design, len(pairs), rng))
            began = monotonic()
            try:
                for done, (index, number) in enumerate(planned):
                    if done and done % (len(pairs) * design.interpreters) == 0:
                        report(f"{done} of {len(planned)} visits after {monotonic() - began:.0f} s")
                    at = monotonic()
                    visit = hosts[number].visit(pairs[index])
                    took = monotonic() - at
                    visits[index].append({**visit, "interpreter": number, "at": at - began, "took": took})
            except KeyboardInterrupt:
                report("stopped")
            seconds = monotonic() - began
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {key: facts[key] for key in ("cpu", "cores", "torch", "python")},
        "design": vars(design),
        "seconds": seconds,
        "pairs": [
            {"pair": PAIRS[pair].name, "compiling": spent, "visits": made}
            for pair, spent, made in zip(pairs, compiling, visits, strict=True)
        ],
    }


def nested(visits: Sequence[Mapping[str, Any]]) -> list[list[list[float]]]:
    """The visits' differences by interpreter, fork and placement, forks in the order in which they came.

    After Ctrl-C, every interpreter has as many forks as the one with the fewest.
    """
    numbers = sorted({visit["interpreter"] for visit in visits})
    forks = [[list(visit["differences"]) for visit in visits if visit["interpreter"] == number] for number in numbers]
    fewest = min(map(len, forks), default=0)
    return [of_one[:fewest] for of_one in forks]


def markdown(results: Results) -> str:
    """The table, and how it was measured.

    Raises:
        ValueError: a pair's visits are not balanced.
        KeyError: the file is not one of this command.
    """
    design, machine = Design(**results["design"]), results["machine"]
    lines = [
        f"{design.interpreters} interpreters, {design.forks} forks of each, {design.placements} placements in each "
        f"fork; {design.seconds:g} s of timing per visit, {design.threads} "
        f"thread{'' if design.threads == 1 else 's'}; all visits in random order over {results['seconds']:.0f} s.",
        f"Measured on {results['measured'][:10]}: {machine['cpu']}, {machine['cores']} cores, "
        f"torch {machine['torch']}; {_others(results)}.",
        "",
        HEAD,
        *(row(entry) for entry in results["pairs"]),
    ]
    return "\n".join(lines) + "\n"


def _others(results: Results) -> str:
    """How busy the machine was otherwise, in words."""
    known = [visit["others"] for entry in results["pairs"] for visit in entry["visits"] if visit["others"] is not None]
    if not known:
        return "the load by other processes is not known"
    return f"other processes kept {fmean(known):.2f} cores busy in the mean"


def row(entry: Mapping[str, Any]) -> str:
    """The table's row of a pair. Standard deviations are of log ratios: 0.01 is shown as 1 %."""
    visits = entry["visits"]
    values = nested(visits)
    found = levels(values)
    in_time = [fmean(visit["differences"]) for visit in sorted(visits, key=lambda visit: visit["at"])]
    cells = [
        entry["pair"],
        f"{math.exp(found.mean):.3g}",
        *(f"{deviation:.1%}" for deviation in (found.interpreters, found.forks, found.placements)),
        f"{found.ratio:.1f} ({chance(values):.2g})",
        f"{lag_one_correlation(in_time):.1f}",
        f"{median(visit['took'] for visit in visits):.2f}",
    ]
    return f"| {' | '.join(cells)} |"
