"""The title of a run's report: what the run found, in one sentence with the case or the count, and the factor.

It is the answer on the first knob that was turned; the sentences after it name its best and its worst case with their
times per call. Code is between backticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import IMPLEMENTATION, code
from torchduet.bench.record.schema import VERDICTS
from torchduet.bench.record.speedups import counted
from torchduet.reports.findings import advice_words
from torchduet.reports.findings.advice import Answer
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import each
from torchduet.reports.text import units


@dataclass(frozen=True)
class Headline:
    """What a run found.

    Attributes:
        title: one sentence without its full stop.
        lead: sentences that say it with cases, intervals and times.
        tally: verdict → number of the run's comparisons, in the order of ``VERDICTS``.
        answer: the answer that the title is of; None where nothing was compared.
    """

    title: str
    lead: tuple[str, ...]
    tally: dict[str, int]
    answer: Answer | None = None


def headline(run: Run, cases: pd.DataFrame, given: Sequence[Answer]) -> Headline:
    """The title of a run that is no duet.

    Args:
        cases: ``frames.CASE_COLUMNS``.
        given: all answers of the run.
    """
    verdicts = [speedup["verdict"] for record in run.records for speedup in counted(record)]
    tally: dict[str, int] = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    if not run.records:
        counts = {"failed": len(run.about["failed"]), "skipped": len(run.about["skipped"])}
        words = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        return Headline("Nothing was measured", (f"{words}.",) if words else (), tally)
    if not given:
        return _of_times(cases, tally)
    answer = main_answer(given)
    lead = (advice_words.ends(answer.rows) if len(answer.rows) > 1 else _times_of_one(answer),)
    return Headline(title_of(answer), lead, tally, answer)


def main_answer(given: Sequence[Answer]) -> Answer:
    """The first answer that settles something; the first one where none does."""
    return next((answer for answer in given if answer.standing != "unclear"), given[0])


def title_of(answer: Answer) -> str:
    """``torch.compile pays off in 3 of 7 cases, up to 3.52×``; of one case its name and its factor."""
    if len(answer.rows) == 1:
        return _of_one(answer, next(each(answer.rows)))
    if answer.knob == "workers":
        return _of_workers(answer)
    pair = _one_pair(answer)
    total, faster, slower = len(answer.rows), answer.tally["faster"], answer.tally["slower"]
    named = units.of_all(faster or slower, total, "case")
    low, high = answer.span
    best, worst = _times_as_fast(_of(answer, "faster").max()), _times_as_fast(_of(answer, "slower").min())
    ends = list(dict.fromkeys(map(_times_as_fast, (low, high))))
    span = " to ".join(ends)
    subject = advice_words.inside(answer.title)
    if pair is not None:
        own, other = map(code, pair)
        if faster == total:
            return f"{own} is {span} as fast as {other} in {named}"
        if faster:
            return f"{own} is faster than {other} in {named}, up to {best}"
        if slower:
            return f"{own} is slower than {other} in {named}, down to {worst}"
        subject = f"{own} instead of {other}"
    elif not answer.value:  # a collection of alternatives
        if faster:
            are = "is" if faster == 1 else "are"
            return _sentence(f"{units.of_all(faster, total, 'alternative')} {are} faster, up to {best}")
        if slower:
            are = "is" if slower == 1 else "are"
            return f"None of {units.plural(total, 'alternative')} is faster, {slower} {are} slower, down to {worst}"
        subject = answer.title
    if faster:
        return _sentence(f"{subject} pays off in {named}, up to {best}")
    if slower:
        return _sentence(f"{subject} does not pay off: slower in {named}, down to {worst}")
    if answer.tally["same"]:
        same = units.of_all(answer.tally["same"], total, "case")
        return _sentence(f"{subject} makes no difference: the same in {same} ({span})")
    return _sentence(f"{subject}: not settled in {units.of_all(total, total, 'case')} ({span})")


def _of_one(answer: Answer, row: Any) -> str:
    """The title where one case is held against one other."""
    factor, verdict = _times_as_fast(row.ratio), row.verdict
    if answer.knob == IMPLEMENTATION:
        own, other = code(row.value), code(row.baseline)
        return {
            "faster": f"{own} is {factor} as fast as {other}",
            "slower": f"{own} takes {_times_as_fast(1 / row.ratio)} as long as {other}",
            "same": f"{own} is as fast as {other} ({factor})",
            "unclear": f"{own} against {other}: not settled ({factor})",
        }[verdict]
    subject, case = advice_words.inside(answer.title), code(row.name)
    return _sentence(
        {
            "faster": f"{subject} makes {case} {factor} as fast",
            "slower": f"{subject} makes {case} take {_times_as_fast(1 / row.ratio)} as long",
            "same": f"{subject} makes no difference to {case} ({factor})",
            "unclear": f"{subject}: not settled for {case} ({factor})",
        }[verdict]
    )


def _of_workers(answer: Answer) -> str:
    best, worst = _times_as_fast(_of(answer, "faster").max()), _times_as_fast(_of(answer, "slower").min())
    low, high = map(_times_as_fast, answer.span)
    if answer.standing in ("yes", "mostly", "depends") and answer.tally["faster"]:
        named = units.of_all(answer.tally["faster"], len(answer.rows), "case")
        return f"More DataLoader workers pay off in {named}, up to {best}"
    if answer.tally["slower"]:
        named = units.of_all(answer.tally["slower"], len(answer.rows), "case")
        return f"More DataLoader workers do not pay off: slower in {named}, down to {worst}"
    return f"More DataLoader workers: no difference is settled ({low} to {high})"


def _of(answer: Answer, verdict: str) -> pd.Series[float]:
    """The ratios with a verdict; all of them where there is none."""
    ratios = answer.rows.loc[answer.rows["verdict"] == verdict, "ratio"]
    return ratios if len(ratios) else answer.rows["ratio"]


def _one_pair(answer: Answer) -> tuple[str, str] | None:
    """The two implementations, where all rows compare the same two."""
    pairs = set(zip(answer.rows["value"], answer.rows["baseline"], strict=True))
    return next(iter(pairs)) if answer.knob == IMPLEMENTATION and len(pairs) == 1 else None


def _times_of_one(answer: Answer) -> str:
    """``n=512: 41.2 µs instead of 145 µs per call (2.05 to 2.16)``."""
    row = next(each(answer.rows))
    interval = units.ratio_interval(*_ends(row))
    shown = f"{code(row.name)}{advice_words.times(row, ': ')}"
    return f"{shown}; 99 % interval {interval}." if interval else f"{shown}; no interval."


def _of_times(cases: pd.DataFrame, tally: dict[str, int]) -> Headline:
    """The title of a run in which nothing was compared: its times."""
    fastest, *_, slowest = each(cases.sort_values("seconds")) if len(cases) > 1 else [next(each(cases))] * 2
    if len(cases) == 1:
        interval = units.seconds_interval(*_ends(fastest))
        title = f"{code(_case(fastest))} takes {units.seconds(fastest.seconds)} per call"
        return Headline(title, (f"99 % interval: {interval}." if interval else "It has no interval.",), tally)
    return Headline(
        f"{units.plural(len(cases), 'case')} take {units.seconds(fastest.seconds)} to "
        f"{units.seconds(slowest.seconds)} per call",
        (
            f"Fastest: {code(_case(fastest))} with {units.seconds(fastest.seconds)}. "
            f"Slowest: {code(_case(slowest))} with {units.seconds(slowest.seconds)}. Nothing was compared.",
        ),
        tally,
    )


def _case(row: Any) -> str:
    return f"{row.suite}.{row.workload} {row.size.replace(',', ', ')}".strip()


def _ends(row: Any) -> tuple[float | None, float | None]:
    return (None, None) if pd.isna(row.low) else (float(row.low), float(row.high))


def _times_as_fast(ratio: float) -> str:
    return units.ratio(ratio)


def _sentence(text: str) -> str:
    """With a capital letter; ``bf16`` is a name and keeps its small one."""
    return text if any(letter.isdigit() for letter in text.split()[0]) else text[0].upper() + text[1:]
