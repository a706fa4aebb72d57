"""What stands in for pilots where nothing was timed in alternation: the functions timed right before and after."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.compare.spread import MIN_UNITS
from torchduet.reports.compare.verdicts import Question

ON_EACH_SIDE = 2  # so that one function that changed is not taken for the machine by those beside it
NEIGHBOURS = "the functions timed right before and after it, in the median,"


def beside_in_time(questions: Mapping[str, Question]) -> dict[str, float]:
    """Per case, the median shift of the two functions (units) before its own and the two after it.

    A case of a run that has no other function is left out: nothing can be said of it.

    Args:
        questions: in the order in which the cases were timed.
    """
    stretches = [
        (unit, [case for case, _ in cases])
        for unit, cases in itertools.groupby(questions.items(), key=lambda item: item[1].unit)
    ]
    shifts = [median(questions[case].shift.point for case in cases) for _, cases in stretches]
    found: dict[str, float] = {}
    for place, (unit, cases) in enumerate(stretches):
        reach = range(max(0, place - ON_EACH_SIDE), min(len(stretches), place + ON_EACH_SIDE + 1))
        if others := [shifts[at] for at in reach if stretches[at][0] != unit]:
            found |= dict.fromkeys(cases, median(others))
    return found


def without_halves(questions: Mapping[str, Question]) -> dict[str, Question]:
    """The questions without what two halves of a run tell, where there are too few functions to tell more.

    How much further two runs lie apart than the halves of one is known of placements that are spread over a run. Halves
    of one second say less, so that with so few functions nothing is judged.
    """
    if len({one.unit for one in questions.values() if one.placements >= MIN_PLACEMENTS}) > MIN_UNITS:
        return dict(questions)
    return {case: replace(one, halves=()) for case, one in questions.items()}
