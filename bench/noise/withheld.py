"""Withholds verdicts where threads outnumber the free cores: blocks then measure the wait for a core, not the code.

Which side waits longer is chance, but does not change during the life of a process: neighbouring placements agree,
and an interval over them is narrow around the wrong value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from torchduet.bench.noise.causes import Cause, causes
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.remedies import one_thread_fewer
from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import DISTURBED, Record

MOST = 0.5  # of a case's blocks


def preempted(figures: Figures) -> Cause | None:
    """Why verdicts are withheld; None where they are not.

    There are two reasons. Blocks had context switches, and there were more threads than free cores. Or fixed work took
    more than four times as long at some time: two threads spun for each other on one core for its time slices
    (8 ms instead of 0.1 ms), perhaps before or after the load by others was measured.
    """
    ordered = causes(figures)
    if figures.stalled:
        cause = next(cause for cause in ordered if cause.kind == "speed")
        return replace(cause, remedy=one_thread_fewer(figures.threads, ranks=figures.ranks))
    if not figures.oversubscribed:
        return None
    return next((cause for cause in ordered if cause.kind == "context switches" and cause.grade == DISTURBED), None)


def one_side_preempted(cases: Iterable[Figures]) -> Cause | None:
    """The same of a family whose cases were not hit alike: why one case's blocks measure the wait for a core.

    Of a placement the median block counts, so more than half of a case's blocks must have been hit. Then its quotient
    with a case that was hit less often is no speed-up, even where the family as a whole had few context switches.
    """
    hit = (figures for figures in cases if (figures.switched or 0.0) > MOST)
    return next((cause for figures in hit if (cause := preempted(figures)) is not None), None)


def waited(figures: Figures) -> Cause | None:
    """Why times measure the wait for a core, so that those of two runs cannot be compared; None where they do not.

    Both sides of a comparison within a run wait alike, so their quotient may be valid where :func:`preempted` has no
    objection. Another run does not wait. With more threads than free cores one context switch in a long block, or
    one thread that waits while the others spin, makes a call of 5 µs take 16 ms.
    """
    if (cause := preempted(figures)) is not None or not figures.oversubscribed:
        return cause
    by_kind = {cause.kind: cause for cause in causes(figures)}
    if "context switches" in by_kind:
        return by_kind["context switches"]
    others = by_kind.get("others")
    # A single thread that keeps its core for the length of a block measures the code, however busy the others are.
    return others if others is not None and others.grade == DISTURBED and figures.threads > 1 else None


def with_verdicts_withheld(record: Record, cause: Cause) -> Record:
    """The record with every verdict ``unclear``, and a note with the cause and what would help.

    Not those of a duet: its interval rests on pairs of fresh processes, so that what differs between them is in it.
    """
    if "against" in record:
        return record
    withheld: Record = {
        **record,
        "speedups": [{**speedup, "verdict": "unclear"} for speedup in record["speedups"]],
        "notes": [*record["notes"], f"{NO_VERDICT}{cause.words}; {cause.remedy.words}"],
    }
    if "trials" in record:
        withheld["trials"] = [{**trial, "verdict": "unclear"} for trial in record["trials"]]
    return withheld
