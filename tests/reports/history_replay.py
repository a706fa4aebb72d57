"""Replays made-up histories run by run; ``python -m tests.reports.history_replay SEED STEP`` prints what a reader sees.

A page has sixty series; in ten of them a step comes with the same run. The page is judged again after each further
run. So it shows what single views of finished series do not: how long a step takes to be found, whether it is lost
again, and which runs the page names for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.random import Generator, default_rng

from tests.reports.history_rates import NOISES
from torchduet.bench.record.machines.key import Machine
from torchduet.reports.history.judge import judge_speedups
from torchduet.reports.history.judged import Line
from torchduet.reports.history.series import CaseName, History, Numbers, RunMark

SERIES, STEPPED, RUNS, AT = 60, 10, 30, 18  # of a page; the index of the first run after the step
QUIET_VIEWS = (6, 10, 15, 20, 25, 30)  # runs after which an unchanged series is looked at
BACK = 24  # the first run after the second of two steps
NEAR = 2  # runs that a step may be off to count as found

Draw = Callable[[Generator, int], Numbers]


def mixed(rng: Generator, runs: int) -> Numbers:
    """A noise of 0.5 to 4 %, differently from series to series, half of which are alike from run to run."""
    return NOISES["1 %, neighbouring runs alike (ρ = 0.5)" if rng.random() < 0.5 else "1 %"](rng, runs) * math.exp(
        rng.uniform(math.log(0.5), math.log(4))
    )


def drifting(rng: Generator, runs: int) -> Numbers:
    """1 %, and a drift of 5 % in thirty runs, upwards or downwards."""
    return rng.normal(0, 0.01, runs) + rng.choice([-1.0, 1.0]) * np.linspace(0, 0.05, runs)


KINDS: dict[str, Draw] = {**NOISES, "0.5 to 4 %, mixed": mixed, "1 %, a drift of 5 %": drifting}


@dataclass(frozen=True)
class Seen:
    """What the views of a kind of noise show.

    Attributes:
        unchanged: series without a step; ``alarms`` of them have a change in any view, ``suspicions`` are suspected.
        stepped: series with a step; ``found`` of them have it in any view, ``lost`` of these lack it in a later one.
        delay: runs until it is found, the median.
        dated: share of views with the step that name its first run; ``named`` those that name it among others, too.
        sole, wrong: shares of views that name one run alone; of these, those that name another than the right one.
    """

    unchanged: int
    alarms: int
    suspicions: int
    stepped: int
    found: int
    lost: int
    delay: float
    dated: float
    named: float
    sole: float
    wrong: float


def replay(kind: str, step: float, seed: int, *, pages: int = 6, back: bool = False) -> Seen:
    """What is seen of so many pages; with ``back``, the step is undone after six runs, and looked for until then."""
    rng, draw = default_rng(seed), KINDS[kind]
    last = BACK - 1 if back else RUNS
    alarms = suspicions = found = lost = views = dated = named = sole = wrong = 0
    delays: list[int] = []
    for _ in range(pages):
        values = np.array([draw(rng, RUNS) for _ in range(SERIES)])
        values[:STEPPED, AT:] += math.log1p(step)
        if back:
            values[:STEPPED, BACK:] -= math.log1p(step)
        seen = {runs: judge_speedups(page(values[:, :runs]), 0.03) for runs in {*QUIET_VIEWS, *range(AT + 1, RUNS + 1)}}
        for index in range(STEPPED, SERIES):
            lines = [seen[runs][index] for runs in QUIET_VIEWS]
            alarms += any(line.changes for line in lines if line)
            suspicions += any(line.suspicion for line in lines if line)
        for index in range(STEPPED):
            places = [_places(seen[runs][index]) for runs in range(AT + 1, last + 1)]
            hits = [place is not None for place in places]
            if not any(hits):
                continue
            found += 1
            delays.append(hits.index(True) + 1)
            lost += not all(hits[hits.index(True) :])
            for place in filter(None, places):
                views += 1
                dated += place[0] == AT
                named += AT in place[1]
                sole += len(place[1]) == 1
                wrong += len(place[1]) == 1 and AT not in place[1]
    return Seen(
        *(pages * (SERIES - STEPPED), alarms, suspicions, pages * STEPPED, found, lost),
        delay=median(delays) if delays else math.nan,
        dated=dated / max(views, 1),
        named=named / max(views, 1),
        sole=sole / max(views, 1),
        wrong=wrong / max(sole, 1),
    )


def _places(line: Line | None) -> tuple[int, Sequence[int]] | None:
    """The first run after the step as a view has it, and all runs that the page names for it; None: it is not found."""
    for change in line.changes if line else ():
        named = change.perhaps or (change.after,)
        if abs(change.after - AT) <= NEAR or AT in named:
            return change.after, named
    return None


def page(logs: Numbers) -> History:
    """A history of speed-ups with these logs, ``[case, run]``: neither pilots nor other families bear on them."""
    ratios = np.exp(logs)
    cases = tuple(CaseName(f"a.f{row}", f"a.f{row}", "a", "cpu", "eager", "fp32", False) for row in range(len(logs)))
    marks = tuple(RunMark(f"{run:04}.json", "", math.nan, "", "", {}) for run in range(logs.shape[1]))
    times = (ratios, ratios, ratios)
    return History(Machine("0" * 8, {}), marks, cases, *times, ratios, ratios * 0.99, ratios * 1.01, {})


def rows(step: float, seed: int, *, back: bool = False) -> Iterator[str]:
    """A row of Markdown per kind of noise."""
    for kind in KINDS:
        one = replay(kind, step, seed, back=back)
        yield (
            f"| {kind} | {one.alarms} of {one.unchanged} | {one.suspicions} | {one.found} of {one.stepped} | "
            f"{one.lost} | {one.delay:g} | {one.dated:.0%} | {one.named:.0%} | {one.sole:.0%} | {one.wrong:.1%} |"
        )


if __name__ == "__main__":
    seed, step = int(sys.argv[1]), float(sys.argv[2])
    print(
        "| noise | alarms | suspected | found | lost | delay | dated right | named | one run named | of these wrong |"
    )
    print("| --- " * 10 + "|")
    for row in rows(step, seed, back="back" in sys.argv[3:]):
        print(row, flush=True)
