"""Verdicts that are left open: more threads than free cores, so that blocks wait for a core and not for the code.

Which side waits longer is then chance, and stays so for the life of a process: neighbouring placements agree
on it, and an interval over them is narrow around the wrong value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torchduet.bench.noise.causes import Cause, Figures, causes
from torchduet.bench.noise.remedies import one_less
from torchduet.bench.record.schema import DISTURBED
from torchduet.bench.run.records import Outcome


def preempted(figures: Figures) -> Cause | None:
    """Why no verdict can be given, None where one can.

    Either blocks were interrupted, and the threads did not fit on the free cores; or fixed work took more
    than four times as long at times: two threads that spin for each other on one core for its time slices
    (8 ms instead of 0.1 ms), be it before or after the others' load was seen.
    """
    found = causes(figures)
    if figures.stalled:
        cause = next(one for one in found if one.kind == "moved")
        return replace(cause, remedy=one_less(figures.threads))
    if not figures.crowded:
        return None
    return next((one for one in found if one.kind == "interrupted" and one.grade == DISTURBED), None)


def leave_open(outcomes: Mapping[Any, Outcome], cause: Cause) -> None:
    """Make every verdict of these records ``unclear``, with a note that says why and what would help."""
    for outcome in outcomes.values():
        if not isinstance(outcome, dict):
            continue
        for speedup in outcome["speedups"]:
            speedup["verdict"] = "unclear"
        for trial in outcome.get("trials", []):
            trial["verdict"] = "unclear"
        outcome["notes"].append(f"no verdict: {cause.words}; {cause.remedy.words}")
