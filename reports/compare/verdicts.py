"""From shifts to verdicts: faster, slower, same or unclear, and why; sure of all comparisons together (Holm)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.statistics import CONFIDENCE, MIN_PLACEMENTS, Interval, side_of
from torchduet.reports.compare.movement import Movement
from torchduet.reports.compare.spread import Residual, Spread, spreads_without
from torchduet.reports.text import units

FAMILY_WISE = 0.05  # the chance that any verdict of all is false where nothing changed
CAUSES = {
    "moved": "the machine itself moved as much",
    "apart": "two runs lie as far apart without a cause",
    "own": "their own times vary as much within a run",
    "many": "such a difference is to be expected once among so many",
    "placements": "a run has too few placements of them",
    "unguarded": "nothing says how far the machine moved",
    "families": "too few cases were measured",
}


@dataclass(frozen=True)
class Question:
    """One case's shift between two runs, log(base / new), above 0 where it became faster.

    Attributes:
        unit: the family, whose cases share a process in either run.
        shift: with its exact interval from the placements.
        placements: the fewer of both runs.
        noise: the spread of single placements, of both runs together (standard deviation, log).
        halves: either run's second half of placements held against its first.
        movement: what the machine may account for; None where nothing says so.
        threshold: what must be exceeded to matter, as a share.
    """

    unit: str
    shift: Interval
    placements: int
    noise: float
    halves: tuple[Residual, ...]
    movement: Movement | None
    threshold: float

    def beside(self, movement: Movement | None) -> Question:
        """The same, with what the machine may account for."""
        return Question(self.unit, self.shift, self.placements, self.noise, self.halves, movement, self.threshold)


@dataclass(frozen=True)
class Finding:
    """What a question's answer is: base time / new time with the interval that is judged, and a verdict.

    Attributes:
        cause: what keeps an unclear one open, a key of ``CAUSES``.
        why: the same with its figures.
    """

    ratio: float
    low: float | None
    high: float | None
    verdict: str
    cause: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Bounds:
    """A question with what may account for its shift, and how likely it is where nothing changed."""

    question: Question
    spread: Spread
    movement: Movement
    low: float
    high: float
    chance: float

    def side(self) -> str:
        """The verdict that the interval gives."""
        return side_of(self.low, self.high, self.question.threshold)


def findings(groups: Sequence[Sequence[Question]]) -> list[list[Finding]]:
    """The findings of all groups of questions; within a group most are taken not to have changed.

    A shift's interval reaches as far as its placements say (99 %, exact), or as the group's spread says if that
    is further, and is extended by the machine's movement. *Faster* and *slower* also need that the shift is
    significant among all that are asked, by Holm's step-down procedure (Holm 1979) at 5 %.
    """
    bounded = [_bounds_of(group) for group in groups]
    sure = holm([one.chance for group in bounded for one in group if one])
    limit = max((one.chance for group in bounded for one in group if one and one.chance in sure), default=-1.0)
    asked = sum(one is not None for group in bounded for one in group)
    return [
        [
            _finding(bounds, bounds.chance <= limit, asked) if bounds else _open(question)
            for question, bounds in zip(group, ours, strict=True)
        ]
        for group, ours in zip(groups, bounded, strict=True)
    ]


def holm(chances: Sequence[float], level: float = FAMILY_WISE) -> set[float]:
    """The chances that are significant at a family-wise level: the least one against level/n, and so on."""
    ordered = sorted(chances)
    kept = 0
    while kept < len(ordered) and ordered[kept] <= level / (len(ordered) - kept):
        kept += 1
    return set(ordered[:kept])


def centre(questions: Sequence[Question]) -> float:
    """What all have in common: the median over families of their median shift."""
    by_unit: dict[str, list[float]] = {}
    for one in questions:
        by_unit.setdefault(one.unit, []).append(one.shift.point)
    return median(median(values) for values in by_unit.values()) if by_unit else 0.0


def residuals(questions: Sequence[Question]) -> list[Residual]:
    """Every shift without what all have in common; those of too few placements say too little."""
    common = centre(questions)
    return [
        Residual(one.unit, one.shift.point - common, one.noise) for one in questions if one.placements >= MIN_PLACEMENTS
    ]


def _bounds_of(group: Sequence[Question]) -> list[_Bounds | None]:
    left = residuals(group)
    halves = [half for one in group if one.placements >= MIN_PLACEMENTS for half in one.halves]
    # A case is never judged by a spread that its own change is part of.
    units_of_all = list(dict.fromkeys(one.unit for one in group))
    others = dict(zip(units_of_all, spreads_without(units_of_all, left, halves), strict=True))
    return [_bounds(question, others[question.unit]) for question in group]


def _bounds(question: Question, spread: Spread | None) -> _Bounds | None:
    shift, movement = question.shift, question.movement
    if question.placements < MIN_PLACEMENTS or movement is None or spread is None:
        return None
    reach = spread.reach(question.noise, CONFIDENCE)
    excess = max(shift.point - movement.high, movement.low - shift.point, 0.0)
    return _Bounds(
        question,
        spread,
        movement,
        low=min(shift.low, shift.point - reach) - movement.high,
        high=max(shift.high, shift.point + reach) - movement.low,
        chance=spread.chance(excess, question.noise),
    )


def _finding(bounds: _Bounds, significant: bool, asked: int) -> Finding:
    verdict = bounds.side()
    cause, why = "", ""
    if verdict in ("faster", "slower") and not significant:
        verdict, cause, why = "unclear", "many", f"among {asked} comparisons this is not rare enough"
    elif verdict == "unclear":
        cause, why = _why(bounds)
    ratio = math.exp(bounds.question.shift.point)
    return Finding(ratio, math.exp(bounds.low), math.exp(bounds.high), verdict, cause, why)


def _why(bounds: _Bounds) -> tuple[str, str]:
    """What keeps a verdict open: the first thing without which it would be settled."""
    question, movement = bounds.question, bounds.movement
    shift = question.shift
    if side_of(bounds.low + movement.high, bounds.high + movement.low, question.threshold) != "unclear":
        return "moved", f"{movement.said}, which may be all there is to it"
    if side_of(shift.low, shift.high, question.threshold) != "unclear":
        apart = bounds.spread.reach(question.noise, CONFIDENCE)
        return "apart", f"these runs lie up to {units.percent(math.expm1(apart))} apart without a cause"
    return "own", f"its own times leave it between {percent(-shift.high)} and {percent(-shift.low)}"


def percent(shift: float) -> str:
    """A shift of log times as a change: ``+4.1 %``."""
    change = math.expm1(shift)
    return f"{'+' if change >= 0 else '−'}{units.percent(abs(change))}"


def _open(question: Question) -> Finding:
    """Where there is nothing to judge by."""
    if question.placements < MIN_PLACEMENTS:
        few = f"{question.placements} placement{'s' if question.placements != 1 else ''}"
        cause, why = "placements", f"{few} in one of the runs; {MIN_PLACEMENTS} are needed"
    elif question.movement is None:
        cause, why = "unguarded", "no pilots in one of the runs, and nothing measured beside it to stand in for them"
    else:
        cause, why = "families", "too few cases in both runs to tell how far two runs lie apart without a cause"
    return Finding(math.exp(question.shift.point), None, None, "unclear", cause, why)
