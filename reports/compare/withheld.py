"""Withholds the verdict on a case where either of the two runs withheld its own.

A run withholds its verdicts on a family whose blocks measured the wait for a core, not the code. What is no basis for
a comparison in alternation is even less one for a comparison with another run.
"""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import Record


def withheld(sides: Sequence[tuple[str, Record]]) -> str:
    """Why no verdict is given on a case: in which run, and what that run says of it; empty where there may be one.

    Args:
        sides: the name of each run with its record of the case.
    """
    reasons = {
        name: note.removeprefix(NO_VERDICT)
        for name, record in sides
        for note in record["notes"]
        if note.startswith(NO_VERDICT)
    }
    return "; ".join(f"{name} withheld its own verdicts: {words}" for name, words in reasons.items())
