"""The sentence on a run that took much longer than its budget: by how much, and what took the time."""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.bench.record.units import short_duration

MIN_SHARE = 0.25  # of the budget: an overrun by less is not mentioned
MIN_SECONDS = 2.0  # the same: it is no delay to a reader
BEYOND = ("startup", "importing", "profiling", "warm_starting")  # what a budget does not cover
TIMING = "timed"  # what a budget is for
STAGES = {
    "compiling": "compiling",
    "checking": "checking results",
    "warming": "warming up",
    TIMING: "timing",
    "starting": "starting devices",
    "interpreters": "starting fresh interpreters",
    "handing_over": "handing over between the sides",
    "peak_memory": "measuring peak memory",
}
OTHER = "starting processes and other work"  # what is in no stage
NAMED_SHARE = 0.1  # of the overrun, that a stage takes to be named


def overrun(budget: float, seconds: Mapping[str, float], suspended: float = 0.0) -> str | None:
    """By how much a run's budget was overrun, and the longest stages that together explain it.

    Timing is no cause unless it alone took longer than the budget: the budget is for it.

    Args:
        budget: in seconds.
        seconds: of the run by stage, as :class:`torchduet.bench.record.schema.SecondsRecord` has them.
        suspended: seconds for which the run was suspended.

    Returns:
        The sentence; None if the overrun is at most a quarter of the budget, or less than 2 s.
    """
    used = seconds["total"] - suspended - sum(seconds.get(stage, 0.0) for stage in BEYOND)
    over = used - budget
    if budget <= 0 or over <= MIN_SHARE * budget or over < MIN_SECONDS:
        return None
    took = {words: seconds.get(stage, 0.0) for stage, words in STAGES.items()}
    took[OTHER] = used - sum(took.values())
    if took[STAGES[TIMING]] <= budget:
        del took[STAGES[TIMING]]
    causes, explained = list[str](), 0.0
    for words, spent in sorted(took.items(), key=lambda stage: -stage[1]):
        if spent < NAMED_SHARE * over or explained >= over:
            break
        causes.append(f"{words} {'' if causes else 'took '}{short_duration(spent)}")
        explained += spent
    return f"the budget of {short_duration(budget)} was overrun by {short_duration(over)}: {', '.join(causes)}"
