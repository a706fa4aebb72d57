"""The table's rows of unlike pairs: how far apart a tool's answers are in two sittings, and what its intervals hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from torchduet.bench.record.proportions import clopper_pearson

ABOUT = """\
Eight pairs of unlike implementations of the same result, each compared in two sittings: what a tool says in one, it
should say in the other, too. The ratio of asv is of medians, with an interval of each at 99 %."""
HEAD = (
    "| tool and its rule | its ratio in two sittings: half within, all within | *faster* in one, *slower* in the other "
    "| intervals that do not overlap | interval of one that holds the ratio of the other | s per comparison |\n"
    "| --- | --- | --- | --- | --- | --- |"
)
Answer = Mapping[str, Any]


def row(trials: Sequence[Mapping[str, Any]], tool: str, condition: str) -> str:
    """The row of one tool under one condition.

    Args:
        trials: of unlike pairs.
    """
    own = [trial for trial in trials if trial["tool"] == tool and trial["condition"] == condition]
    title = f"{tool}: {own[0]['rule']}" if own else tool
    pairs = list(sittings(own))
    if not pairs:
        return f"| {title} | | | | | |"
    apart = [abs(math.log(a["ratio"] / b["ratio"])) for a, b in pairs]
    intervals = [(a, b) for a, b in pairs if a["interval"] and b["interval"]]
    answers = sum(len(trial["answers"]) for trial in own)
    cells = [
        f"±{median(apart):.1%}, ±{max(apart):.1%}",
        _rate([{a["verdict"], b["verdict"]} == {"faster", "slower"} for a, b in pairs]),
        _rate([_disjoint(a["interval"], b["interval"]) for a, b in intervals]),
        _rate([_holds(one, other) for a, b in intervals for one, other in ((a, b), (b, a))]),
        f"{sum(trial['seconds'] for trial in own if trial['answers']) / answers:.1f}",
    ]
    return f"| {title} | {' | '.join(cells)} |"


def sittings(trials: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Answer, Answer]]:
    """The answers of two sittings about the same pair, for all pairs of sittings."""
    by_case: dict[str, list[Answer]] = {}
    for trial in sorted(trials, key=lambda trial: int(trial["repeat"])):
        for answer in trial["answers"]:
            by_case.setdefault(answer["case"], []).append(answer)
    for answers in by_case.values():
        yield from itertools.combinations(answers, 2)


def _disjoint(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[1] < b[0] or b[1] < a[0]


def _holds(one: Answer, other: Answer) -> bool:
    low, high = one["interval"]
    return bool(low <= other["ratio"] <= high)


def _rate(outcomes: Sequence[bool]) -> str:
    """How many, with Clopper-Pearson bounds; empty without any."""
    if not outcomes:
        return ""
    low, high = clopper_pearson(sum(outcomes), len(outcomes))
    return f"{sum(outcomes)} of {len(outcomes)} ({low:.0%} to {high:.0%})"
