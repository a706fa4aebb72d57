"""The sentence on a run that took much longer than its budget: by how much, and what took the time."""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.bench.record.units import duration

MIN_SHARE = 0.25  # of the budget: an overrun by less is not mentioned
BEYOND = ("startup", "importing", "profiling", "warm_starting")  # what a budget does not cover
STAGES = {
    "compiling": "compiling",
    "checking": "checking results",
    "warming": "warming up",
    "timed": "timing",
    "starting": "starting devices",
}
NAMED, NAMED_SHARE = 3, 0.1  # stages, and the part of the budget that one takes to be named


def overrun(budget: float, seconds: Mapping[str, float], suspended: float = 0.0) -> str | None:
    """By how much a run's budget was overrun, and the stages that took most; None up to a quarter of it.

    Args:
        budget: in seconds.
        seconds: of the run by stage, as :class:`torchduet.bench.record.schema.SecondsRecord` has them.
        suspended: seconds for which the run was suspended.
    """
    used = seconds["total"] - suspended - sum(seconds.get(stage, 0.0) for stage in BEYOND)
    if budget <= 0 or used <= (1 + MIN_SHARE) * budget:
        return None
    stages = sorted(((seconds.get(stage, 0.0), words) for stage, words in STAGES.items()), reverse=True)
    named = [(took, words) for took, words in stages[:NAMED] if took >= NAMED_SHARE * budget]
    what = ", ".join(
        f"{words} took {duration(took)}" if not place else f"{words} {duration(took)}"
        for place, (took, words) in enumerate(named)
    )
    because = what or "processes and passes beside the timing took the time"
    return f"the budget of {duration(budget)} was overrun by {duration(used - budget)}: {because}"
