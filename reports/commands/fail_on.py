"""What ``torchduet compare --fail-on`` makes of comparisons or of a duet: the exit code, and notes on its reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torchduet.bench.record.duets.gate import FAILS, NO_VERDICT, Gate, gate, judged
from torchduet.bench.record.schema import Record
from torchduet.reports.compare import memory
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.text.escaping import visible

KNOWN = ("slower", "unclear", "all-slower", "memory")
NO_MEMORY = "so nothing is known of memory"


def of_runs(comparisons: Sequence[Comparison], fail_on: Collection[str]) -> tuple[int, list[str]]:
    """The exit code for runs compared with a base, and what it does not count or cannot tell, a line each."""
    no_memory = [comparison for comparison in comparisons if "memory" in fail_on and memory.unknown(comparison)]
    fails = any(_fails(comparison, fail_on) for comparison in comparisons)
    follows = f"; the exit code is {FAILS} for another reason" if fails else f": exit code {NO_VERDICT}"
    notes = [
        f"no case of {visible(comparison.new.name)} has its peak memory in both runs, {NO_MEMORY}{follows}"
        for comparison in no_memory
    ]
    if fails:
        return FAILS, notes
    if not _of_time(fail_on):
        return NO_VERDICT if no_memory else 0, notes
    notes += [
        f"{visible(comparison.new.name)} is slower as a whole, and so is its machine by the pilots; --fail-on "
        "all-slower exits with 1 for that"
        for comparison in comparisons
        if comparison.common and comparison.common.slower
    ]
    unknown = [comparison for comparison in comparisons if _unknown(comparison, fail_on)]
    notes += [
        f"no verdict is possible on any case of {visible(comparison.new.name)}, so nothing is known of slow-downs: "
        f"exit code {NO_VERDICT}"
        for comparison in unknown
    ]
    return NO_VERDICT if unknown or no_memory else 0, notes


def of_duet(records: Sequence[Record], fail_on: Collection[str]) -> tuple[int, list[str]]:
    """The exit code for a duet, and the reasons; ``all-slower`` counts like ``slower`` if all its cases are slower."""
    outcome = gate(records, [ground for ground in fail_on if ground != "all-slower"])
    if "all-slower" in fail_on and outcome.code != FAILS:
        outcome = _all_slower(records) or outcome
    return outcome.code, [outcome.reason] if outcome.reason else []


def _all_slower(records: Sequence[Record]) -> Gate | None:
    """The outcome where all cases of a duet are slower, or none can have a verdict; else None."""
    slower = all(record["against"]["verdict"] == "slower" for record in judged(records))
    outcome = gate(records, ["slower"])
    return outcome if slower or outcome.code == NO_VERDICT else None


def _of_time(fail_on: Collection[str]) -> bool:
    return any(ground != "memory" for ground in fail_on)


def _unknown(comparison: Comparison, fail_on: Collection[str]) -> bool:
    """Whether a comparison cannot answer what ``--fail-on`` asks: no case can have a verdict, nor is there one on all.

    A run that is faster as a whole answers. One that is slower as a whole, and so is its machine, hides whether any
    case is slower by its code.
    """
    cases = "slower" in fail_on or "unclear" in fail_on
    whole = comparison.common is not None and (not cases or not comparison.common.slower)
    return comparison.blind and not whole


def _fails(comparison: Comparison, fail_on: Collection[str]) -> bool:
    """Whether any ground of ``--fail-on`` is given in this comparison."""
    common = comparison.common if comparison.common and comparison.common.slower else None
    of_cases = "slower" in fail_on or "unclear" in fail_on
    return bool(
        ("all-slower" in fail_on and common)
        or (of_cases and ((common and not common.by_machine) or comparison.of("slower")))
        or ("unclear" in fail_on and comparison.of("unclear"))
        or ("memory" in fail_on and memory.grown(comparison))
    )
