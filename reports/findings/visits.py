"""What the intervals of a run cover and rest on: its visits, how much they differ, and where that was taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import IntervalRecord, PriorOf
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.visits import number_of_visits, priors_of
from torchduet.reports.text import units

SUBJECTS: dict[PriorOf, str] = {"speedups": "Speed-ups", "times": "Times per call", "copies": "Speed-ups of A/A copies"}
BETWEEN = "the standard deviation between visits, beyond what the placements within a visit explain,"


@dataclass(frozen=True)
class VisitsFound:
    """The section's content.

    Attributes:
        number: "3 to 23 visits to each measured family, 6 in the median".
        spread: whether any family had several.
        covers: what an interval covers.
        sentences: how much visits differ, where that was taken from, and which cases had a single one.
    """

    number: str
    spread: bool
    covers: str
    sentences: tuple[str, ...]


def visits(run: Run) -> VisitsFound | None:
    """The visits of a run; None for a duet, which has pairs of processes instead, and for a file without visits."""
    numbers = [number for record in run.records if (number := number_of_visits(record))]
    if not numbers or "against" in run.about:
        return None
    priors = priors_of(run)
    where = "machines of this kind" if len(run.about.get("parts", [])) > 1 else "this machine"
    intervals = [
        interval for record in run.records for speedup in counted(record) if (interval := speedup.get("interval"))
    ]
    sentences = [_differ(words, priors[of]) for of, words in SUBJECTS.items() if of in priors]
    sentences += [_alone(intervals), _allowed(intervals), _once(numbers)]
    return VisitsFound(
        number=_number(numbers),
        spread=max(numbers) > 1,
        covers=f"An interval ({units.percent(CONFIDENCE)}) covers the value that runs of the same code on {where} "
        "find on average: in other processes, at other minutes. The next run’s interval overlaps with it. It does not "
        "cover other machines or versions.",
        sentences=tuple(filter(None, sentences)),
    )


def brief(found: VisitsFound) -> str:
    """The same in one sentence."""
    return f"Intervals are at {units.percent(CONFIDENCE)}, over {found.number}: they cover other processes and minutes."


def _number(numbers: Sequence[int]) -> str:
    fewest, most = min(numbers), max(numbers)
    if fewest == most:
        return f"{units.plural(fewest, 'visit')} to each measured family"
    return f"{fewest} to {most} visits to each measured family, {round(median(numbers))} in the median"


def _differ(subject: str, prior: Prior) -> str:
    """How much visits typically differ, and where that was taken from."""
    families = f"{prior.families} {'family' if prior.families == 1 else 'families'}"
    share = units.percent(prior.deviation)
    if prior.source == "typical":
        return (
            f"{subject}: where a case has too few visits to show how much they differ, {BETWEEN} is taken to be "
            f"{share}: a built-in figure, measured on other machines."
        )
    source = f"{families} of this run" if prior.source == "run" else f"earlier runs on this machine ({families})"
    if prior.deviation == 0:
        return f"{subject}: visits differ by no more than the placements within them explain, as {source} show."
    return f"{subject}: {BETWEEN} is {share}, as {source} show."


def _alone(intervals: Sequence[IntervalRecord]) -> str:
    """How many intervals rest on their own visits alone, and why."""
    number = sum(interval["prior"] == "none" for interval in intervals)
    if not number:
        return ""
    rest = "1 interval rests" if number == 1 else f"{number} intervals rest"
    own = "its own visits" if number == 1 else "their own visits"
    return (
        f"{rest} on {own} alone (Student’s t): how much visits differ was known neither from enough families of this "
        "run nor from earlier runs on this machine."
    )


def _allowed(intervals: Sequence[IntervalRecord]) -> str:
    """How much a visit's speed-up may scatter by the intervals."""
    if not intervals:
        return ""
    typical = units.percent(median(interval["deviation"] for interval in intervals))
    return (
        f"In the median comparison a visit’s speed-up scatters by {typical} (standard deviation, the scatter within a "
        "visit included), and the estimate from all visits by about that divided by the root of their number."
    )


def _once(numbers: Sequence[int]) -> str:
    """How many cases were visited only once, and what their intervals rest on."""
    single = numbers.count(1)
    if not single:
        return ""
    cases = "1 case was" if single == 1 else f"{single} cases were"
    its = "its" if single == 1 else "their"
    return f"{cases} visited once: how much {its} visits differ is taken from the above, so {its} intervals are wide."
