"""Stands in for pilots where nothing was timed in alternation: by the functions timed right before and after."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.shifts.question import Question
from torchduet.reports.shifts.spread import MIN_UNITS

ON_EACH_SIDE = 2  # functions; with one, a function that changed would count as the machine for those beside it
NEIGHBOURS = "the functions timed right before and after it, in the median,"


def beside_in_time(questions: Mapping[str, Question]) -> dict[str, float]:
    """Per case, the median shift of the two functions (units) before its own and the two after it.

    A case is left out if the run has no other function.

    Args:
        questions: in the order in which the cases were timed.
    """
    stretches = [
        (unit, [case for case, _ in cases])
        for unit, cases in itertools.groupby(questions.items(), key=lambda item: item[1].unit)
    ]
    shifts = [median(questions[case].shift.point for case in cases) for _, cases in stretches]
    medians: dict[str, float] = {}
    for index, (unit, cases) in enumerate(stretches):
        near = range(max(0, index - ON_EACH_SIDE), min(len(stretches), index + ON_EACH_SIDE + 1))
        if beside := [shifts[at] for at in near if stretches[at][0] != unit]:
            medians |= dict.fromkeys(cases, median(beside))
    return medians


def without_halves(questions: Mapping[str, Question]) -> dict[str, Question]:
    """The questions without the halves of each run, if there are too few functions; nothing is judged then.

    With few functions, the scatter between two runs is estimated from the halves of each. The factor for that is known
    only for placements spread over a whole run; rounds that take a second in all scatter less.
    """
    units = {question.unit for question in questions.values() if question.placements >= MIN_PLACEMENTS}
    if len(units) > MIN_UNITS:
        return dict(questions)
    return {case: replace(question, halves=()) for case, question in questions.items()}
