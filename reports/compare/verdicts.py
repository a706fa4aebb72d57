"""Turns shifts into verdicts: faster, slower, same or unclear, with the cause; corrected for their number (Holm)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.statistics import CONFIDENCE, MIN_PLACEMENTS, side_of
from torchduet.reports.shifts.dispersion import VisitSpread, factors_without
from torchduet.reports.shifts.movement import Movement
from torchduet.reports.shifts.question import Question, centre, residuals
from torchduet.reports.shifts.spread import Spread, spreads_without
from torchduet.reports.text import units

FAMILY_WISE = 0.05  # the chance of any false verdict where nothing changed
CAUSES = {
    "moved": "the machine itself may have changed as much",
    "apart": "two runs of the same code differ as much",
    "own": "their own times vary as much within a run",
    "many": "among so many, such a difference is expected by chance",
    "withheld": "a run withheld its own verdicts on them, or waited for a core",
    "visits": "a run visited them too seldom",
    "placements": "a run has too few placements of them",
    "unguarded": "nothing measures how much the machine changed",
    "families": "too few cases were measured",
}


@dataclass(frozen=True)
class Finding:
    """The answer to a question: base time / new time with the interval that is judged, and a verdict.

    Attributes:
        cause: why the verdict is unclear, a key of ``CAUSES``.
        why: the cause with its figures.
    """

    ratio: float
    low: float | None
    high: float | None
    verdict: str
    cause: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Bounds:
    """A question with the interval that is judged, and the probability of its shift where nothing changed."""

    question: Question
    movement: Movement
    reach: float  # what two runs of the same code may differ by
    low: float
    high: float
    chance: float

    def verdict(self) -> str:
        """The verdict by the interval alone."""
        return side_of(self.low, self.high, self.question.threshold)


def findings(groups: Sequence[Sequence[Question]]) -> list[list[Finding]]:
    """The findings of all groups of questions; most cases of a group are assumed not to have changed.

    A shift's interval is that of the visits (99 %), widened by the factor by which the group's cases differ more than
    their visits show. Without visits it is the exact one of its placements, or that of the group's spread where it is
    wider. It is extended by the machine's movement. *Faster* and *slower* also need a shift that is significant among
    all questions, by Holm's step-down procedure (Holm 1979) at 5 %.
    """
    bounds_of_groups = [_bounds_of(group) for group in groups]
    chances = [bounds.chance for group in bounds_of_groups for bounds in group if bounds]
    significant = holm(chances)
    limit = max((chance for chance in chances if chance in significant), default=-1.0)
    return [
        [
            _finding(bounds, bounds.chance <= limit, len(chances)) if bounds else _not_judged(question)
            for question, bounds in zip(group, bounds_of_group, strict=True)
        ]
        for group, bounds_of_group in zip(groups, bounds_of_groups, strict=True)
    ]


def holm(chances: Sequence[float], level: float = FAMILY_WISE) -> set[float]:
    """The chances that are significant at a family-wise level: the smallest against level/n, the next level/(n − 1)."""
    ordered = sorted(chances)
    number = 0
    while number < len(ordered) and ordered[number] <= level / (len(ordered) - number):
        number += 1
    return set(ordered[:number])


def _bounds_of(group: Sequence[Question]) -> list[_Bounds | None]:
    counted = [question for question in group if not question.withheld]
    visited = [question for question in counted if question.visits]
    placed = [question for question in counted if not question.visits]
    # What two runs differ by is estimated without a case's own family: a change must not widen its own interval.
    factors = factors_without(
        [question.unit for question in visited],
        [question.visits for question in visited if question.visits],
        centre(visited),
    )
    halves = [half for question in placed if question.enough for half in question.halves]
    units = list(dict.fromkeys(question.unit for question in placed))
    spreads = dict(zip(units, spreads_without(units, residuals(placed), halves), strict=True))
    return [
        _of_visits(question, VisitSpread(question.visits, factors[question.unit]))
        if question.visits and not question.withheld
        else _of_placements(question, spreads.get(question.unit))
        for question in group
    ]


def _of_visits(question: Question, spread: VisitSpread) -> _Bounds | None:
    return _bounds(question, spread.reach(), spread.chance(_excess(question)))


def _of_placements(question: Question, spread: Spread | None) -> _Bounds | None:
    if spread is None:
        return None
    return _bounds(question, spread.reach(question.noise, CONFIDENCE), spread.chance(_excess(question), question.noise))


def _excess(question: Question) -> float:
    """The part of a shift that the machine's movement does not explain."""
    movement, point = question.movement, question.shift.point
    return max(point - movement.high, movement.low - point, 0.0) if movement else 0.0


def _bounds(question: Question, reach: float, chance: float) -> _Bounds | None:
    shift, movement = question.shift, question.movement
    if question.withheld or not question.enough or movement is None:
        return None
    return _Bounds(
        question,
        movement,
        reach,
        low=min(shift.low, shift.point - reach) - movement.high,
        high=max(shift.high, shift.point + reach) - movement.low,
        chance=chance,
    )


def _finding(bounds: _Bounds, significant: bool, asked: int) -> Finding:
    verdict = bounds.verdict()
    cause, why = "", ""
    if verdict in ("faster", "slower") and not significant:
        verdict, cause, why = "unclear", "many", f"not significant among {asked} comparisons"
    elif verdict == "unclear":
        cause, why = _why(bounds)
    ratio = math.exp(bounds.question.shift.point)
    return Finding(ratio, math.exp(bounds.low), math.exp(bounds.high), verdict, cause, why)


def _why(bounds: _Bounds) -> tuple[str, str]:
    """Cause and reason of an unclear verdict: the first without which it would be clear."""
    question, movement = bounds.question, bounds.movement
    shift = question.shift
    if side_of(bounds.low + movement.high, bounds.high + movement.low, question.threshold) != "unclear":
        return "moved", f"{movement.in_words}, which may explain the change"
    if side_of(shift.low, shift.high, question.threshold) != "unclear":
        return "apart", f"these runs differ by up to {units.percent(math.expm1(bounds.reach))} in unchanged code"
    return "own", f"its own times allow a change from {percent(-shift.high)} to {percent(-shift.low)}"


def percent(shift: float) -> str:
    """A shift of log times as a change: ``+4.1 %``."""
    change = math.expm1(shift)
    return f"{'+' if change >= 0 else '−'}{units.percent(abs(change))}"


def _not_judged(question: Question) -> Finding:
    """The finding on a question that cannot be judged."""
    if question.withheld:
        cause, why = "withheld", question.withheld
    elif not question.enough:
        cause, why = _too_few(question)
    elif question.movement is None:
        cause, why = "unguarded", "not both runs have pilots, and nothing timed beside it stands in for them"
    else:
        cause, why = "families", "too few cases in both runs to estimate how much two runs of the same code differ"
    return Finding(math.exp(question.shift.point), None, None, "unclear", cause, why)


def _too_few(question: Question) -> tuple[str, str]:
    if question.visits:
        return "visits", "1 visit in one of the runs, and nothing tells how much visits differ; 2 are needed"
    number = f"{question.placements} placement{'s' if question.placements != 1 else ''}"
    return "placements", f"{number} in one of the runs; {MIN_PLACEMENTS} are needed"
