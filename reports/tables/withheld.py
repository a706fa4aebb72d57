"""Which verdicts a run withheld because blocks had to wait for a core, and what kept it from settling the others.

The verdict of such a comparison is ``unclear`` in the file, although its interval would settle it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torchduet.bench.record.schema import DISTURBED, SpeedupRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS, side_of
from torchduet.reports.read.run_file import Run

WAITED = "blocks had to wait for a core"
LOADED = ("busy", "context switch", "load")  # in the causes of a run that other work disturbed


def is_withheld(verdict: str, low: float | None, high: float | None, threshold: float | None) -> bool:
    """Whether an interval of ratios (None or NaN: there is none) would settle what the run left unclear."""
    if verdict != "unclear" or low is None or high is None or threshold is None:
        return False
    if math.isnan(low) or math.isnan(high) or low <= 0 or high <= 0:
        return False
    return side_of(math.log(low), math.log(high), threshold) != "unclear"


def number_withheld(speedups: Iterable[SpeedupRecord]) -> int:
    """How many of a run's comparisons had their verdict withheld; too few placements give no interval to go by."""
    return sum(
        is_withheld(speedup["verdict"], speedup["low"], speedup["high"], speedup["threshold"])
        and ("visit_ratios" in speedup or speedup["placements"] >= MIN_PLACEMENTS)
        for speedup in speedups
    )


def disturbed(run: Run) -> bool:
    """Whether the run says that its machine was disturbed."""
    recorded: Any = run.about.get("noise", {})
    return bool(recorded.get("grade") == DISTURBED)


def what_was_lacking(run: Run) -> str:
    """Why a run left comparisons open: ``the machine was too busy``, ``… too unsteady``, ``the run was too short``."""
    if not disturbed(run):
        return "the run was too short"
    causes = run.about["noise"]["causes"]
    loaded = any(word in cause for cause in causes for word in LOADED)
    return "the machine was too busy" if loaded else "the machine was too unsteady"
