"""The title of a run's report: what the run found, in one sentence with the case or the count, and the factor.

It is the answer on the first knob that pays off anywhere; the sentences after it name its best and its worst case with
their times per call. Code is between backticks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import BY_NAME, IMPLEMENTATION, code
from torchduet.bench.record.schema import VERDICTS, Record
from torchduet.bench.record.speedups import counted
from torchduet.reports.findings import advice_words
from torchduet.reports.findings.advice import Answer, standing_of
from torchduet.reports.findings.unmeasured import why_uncompared
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import each
from torchduet.reports.tables.withheld import WAITED, number_withheld, what_was_lacking
from torchduet.reports.text import units


@dataclass(frozen=True)
class Headline:
    """What a run found.

    Attributes:
        title: one sentence without its full stop.
        lead: sentences that say it with cases, intervals and times.
        tally: verdict → number of the run's comparisons, in the order of ``VERDICTS``.
        answer: the answer that the title is of; None where nothing was compared.
        withheld: how many of the unclear comparisons had their verdict withheld: their intervals would settle them.
    """

    title: str
    lead: tuple[str, ...]
    tally: dict[str, int]
    answer: Answer | None = None
    withheld: int = 0

    @property
    def settles(self) -> bool:
        """Whether the answer that the title is of settles something."""
        return self.answer is not None and self.answer.standing != "unclear"


def headline(run: Run, cases: pd.DataFrame, given: Sequence[Answer]) -> Headline:
    """The title of a run that is no duet.

    Args:
        cases: ``frames.CASE_COLUMNS``.
        given: all answers of the run.
    """
    speedups = [speedup for record in run.records for speedup in counted(record)]
    verdicts = [speedup["verdict"] for speedup in speedups]
    tally: dict[str, int] = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    if not run.records:
        counts = {"failed": len(run.about["failed"]), "skipped": len(run.about["skipped"])}
        words = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        return Headline("Nothing was measured", (f"{words}.",) if words else (), tally)
    if not given:
        return _of_times(cases, tally, why_uncompared(run))
    behind = _behind(run.records)
    answer = main_answer([_that_count(answer, behind) for answer in given])
    lead = [advice_words.ends(answer.rows) if len(answer.rows) > 1 else _times_of_one(answer)]
    if answer.standing == "unclear" and answer.withheld:
        lead.insert(0, _of_withheld(answer))
    return Headline(title_of(answer, what_was_lacking(run)), tuple(lead), tally, answer, number_withheld(speedups))


def _that_count(answer: Answer, behind: Collection[tuple[str, str]]) -> Answer:
    """The answer without the gains that are ``_behind``.

    An answer that has nothing else keeps its rows, and leads only where none settles anything.
    """
    ids = answer.rows["id"]
    rows = answer.rows[[(case, answer.knob) not in behind for case in ids]]
    if rows.empty:
        return replace(answer, standing="unclear")
    if len(rows) == len(ids):
        return answer
    tally = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in answer.tally}
    return replace(answer, rows=rows, tally=tally, standing=standing_of(tally, None))


def _behind(records: Sequence[Record]) -> set[tuple[str, str]]:
    """(case id, knob) of gains that nobody has: over a setting slower than the reference, which is not beaten.

    Compiling in bf16 may be 11 times as fast as bf16 alone, and still no faster than eager fp32.
    """
    by_id = {record["case"]["id"]: record for record in records}
    overall = {
        case: speedup["verdict"]
        for case, record in by_id.items()
        for speedup in record["speedups"]
        if speedup["knob"] == "reference"
    }
    return {
        (case, speedup["knob"])
        for case, record in by_id.items()
        for speedup in record["speedups"]
        if speedup["verdict"] == "faster"
        and overall.get(speedup["against"]) == "slower"
        and overall.get(case, "faster") != "faster"
        and by_id[speedup["against"]]["case"]["implementation"] == record["case"]["implementation"]
    }


def main_answer(given: Sequence[Answer]) -> Answer:
    """The first answer with something to gain; else the first one that settles something, if any does."""
    settled = [answer for answer in given if answer.standing != "unclear"]
    return next((answer for answer in settled if answer.tally["faster"]), next(iter(settled), given[0]))


def title_of(answer: Answer, lacking: str = "the run was too short") -> str:
    """``torch.compile pays off in 3 of 7 cases, up to 3.52×``; of one case its name and its factor.

    Of an answer that settles nothing: what kept it from that, without a factor, which would read as a finding.
    """
    if answer.tally["unclear"] == len(answer.rows):
        return _of_nothing(answer, lacking)
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
    same = units.of_all(answer.tally["same"], total, "case")
    return _sentence(f"{subject} makes no difference: the same in {same} ({span})")


def _of_nothing(answer: Answer, lacking: str) -> str:
    """The title where every comparison is unclear; ``lacking``: what kept the run from settling them."""
    pair = _one_pair(answer)
    if pair is not None:
        subject = " against ".join(map(code, pair))
    elif answer.value:
        subject = advice_words.inside(answer.title)
        if len(answer.rows) == 1:
            subject += f" for {code(next(each(answer.rows)).name)}"
    elif answer.knob == IMPLEMENTATION:
        subject = "the alternatives"
    else:  # another collection
        subject = answer.title if answer.knob == "workers" else answer.title[0].lower() + answer.title[1:]
    if answer.withheld == len(answer.rows):
        return f"No verdict: the machine was too busy to judge {subject}"
    return f"Nothing is settled: {lacking} to judge {subject}"


def _of_withheld(answer: Answer) -> str:
    """Why an answer has no verdict although its intervals are narrow enough for one."""
    number, total = answer.withheld, len(answer.rows)
    if total == 1:
        return f"Its interval would settle it, but {WAITED}, so its verdict is withheld."
    if number == 1:
        return f"The interval of 1 of {total} would settle it, but {WAITED}, so its verdict is withheld."
    of = units.of_all(number, total, "case")
    return f"The intervals of {of} would settle them, but {WAITED}, so their verdicts are withheld."


def _of_one(answer: Answer, row: Any) -> str:
    """The title where one case is held against one other."""
    factor, verdict = _times_as_fast(row.ratio), row.verdict
    if answer.knob == IMPLEMENTATION:
        own, other = code(row.value), code(row.baseline)
        return {
            "faster": f"{own} is {factor} as fast as {other}",
            "slower": f"{own} takes {_times_as_fast(1 / row.ratio)} as long as {other}",
            "same": f"{own} is as fast as {other} ({factor})",
        }[verdict]
    subject, case = advice_words.inside(answer.title), code(row.name)
    return _sentence(
        {
            "faster": f"{subject} makes {case} {factor} as fast",
            "slower": f"{subject} makes {case} take {_times_as_fast(1 / row.ratio)} as long",
            "same": f"{subject} makes no difference to {case} ({factor})",
        }[verdict]
    )


def _of_workers(answer: Answer) -> str:
    best, worst = _times_as_fast(_of(answer, "faster").max()), _times_as_fast(_of(answer, "slower").min())
    if answer.standing in ("yes", "mostly", "depends") and answer.tally["faster"]:
        named = units.of_all(answer.tally["faster"], len(answer.rows), "case")
        return f"More DataLoader workers pay off in {named}, up to {best}"
    if answer.tally["slower"]:
        named = units.of_all(answer.tally["slower"], len(answer.rows), "case")
        return f"More DataLoader workers do not pay off: slower in {named}, down to {worst}"
    return "More DataLoader workers: no difference is settled"


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


def _of_times(cases: pd.DataFrame, tally: dict[str, int], why: str) -> Headline:
    """The title of a run in which nothing was compared: its times; ``why`` nothing was, if the run is to blame."""
    fastest, *_, slowest = each(cases.sort_values("seconds")) if len(cases) > 1 else [next(each(cases))] * 2
    also = (why,) if why else ()
    if len(cases) == 1:
        interval = units.seconds_interval(*_ends(fastest))
        title = (
            f"{code(_case(fastest))}{_mode(fastest)} takes {_about(fastest)}{units.seconds(fastest.seconds)} per call"
        )
        if _about(fastest):
            wide = "Not settled: the ends of its 99 % interval are more than a factor of 2 apart."
            return Headline(f"{title} ({interval})", (wide, *also), tally)
        return Headline(title, (f"99 % interval: {interval}." if interval else "It has no interval.", *also), tally)
    about = _about(fastest) or _about(slowest)
    return Headline(
        f"{units.plural(len(cases), 'case')} take {about}{units.seconds(fastest.seconds)} to "
        f"{units.seconds(slowest.seconds)} per call",
        (
            f"Fastest: {code(_case(fastest))}{_mode(fastest)} with {units.seconds(fastest.seconds)}. "
            f"Slowest: {code(_case(slowest))}{_mode(slowest)} with {units.seconds(slowest.seconds)}."
            + ("" if why else " Nothing was compared."),
            *also,
        ),
        tally,
    )


def _about(row: Any) -> str:
    """``about `` for a time whose interval spans more than ``UNSETTLED``; else empty."""
    low, high = _ends(row)
    return "about " if low is not None and high is not None and high > units.UNSETTLED * low else ""


def _mode(row: Any) -> str:
    """`` with torch.compile``: the mode of a case that is not eager, as another mode takes another time."""
    knob = BY_NAME["mode"]
    return "" if row.mode in ("", knob.reference) else f" ({knob.spoken(row.mode)})"


def _case(row: Any) -> str:
    return f"{row.suite}.{row.workload} {row.size.replace(',', ', ')}".strip()


def _ends(row: Any) -> tuple[float | None, float | None]:
    return (None, None) if pd.isna(row.low) else (float(row.low), float(row.high))


def _times_as_fast(ratio: float) -> str:
    return units.ratio(ratio)


def _sentence(text: str) -> str:
    """With a capital letter; ``bf16`` is a name and keeps its small one."""
    return text if any(letter.isdigit() for letter in text.split()[0]) else text[0].upper() + text[1:]
