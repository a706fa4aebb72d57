"""Verdicts that are left open: more threads than free cores, so that blocks wait for a core and not for the code.

Which side waits longer is then chance, and stays so for the life of a process: neighbouring placements agree
on it, and an interval over them is narrow around the wrong value.
"""

from __future__ import annotations

from dataclasses import replace

from torchduet.bench.noise.causes import Cause, causes
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.remedies import one_less
from torchduet.bench.record.schema import DISTURBED, Record


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


def left_open(record: Record, cause: Cause) -> Record:
    """The record with every verdict ``unclear``, and a note that says why and what would help."""
    made: Record = {
        **record,
        "speedups": [{**speedup, "verdict": "unclear"} for speedup in record["speedups"]],
        "notes": [*record["notes"], f"no verdict: {cause.words}; {cause.remedy.words}"],
    }
    if "trials" in record:
        made["trials"] = [{**trial, "verdict": "unclear"} for trial in record["trials"]]
    return made
