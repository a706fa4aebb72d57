"""The sentences of an answer, from its comparisons.

The text has code names between backticks; the page formats them. Each function takes the comparisons of one setting
(``frames.COMPARISON_COLUMNS``) and returns an empty string if its sentence does not apply.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import BY_NAME, code
from torchduet.bench.record.schema import VERDICTS
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.tables.frames import each, settled, without_interval
from torchduet.reports.tables.withheld import WAITED
from torchduet.reports.text import units
from torchduet.reports.text.settings import TOGETHER

LONG_SECONDS = 3600.0
MAX_NAMED = 3  # workloads that a sentence names before "and N more"


def title_of(knob: str, value: str, baseline: str) -> str:
    """What a setting is called in a sentence."""
    if knob in BY_NAME:
        return BY_NAME[knob].titled(value, baseline)
    return f"{code(value)} together" if knob == TOGETHER else f"{knob} {code(value)}"


def _speed(row: Any) -> str:
    """``1.31× (1.28 to 1.33)``."""
    interval = units.ratio_interval(_number(row.low), _number(row.high))
    return f"{units.ratio(row.ratio)} ({interval})" if interval else f"{units.ratio(row.ratio)} (no interval)"


def _longer(value: float) -> str:
    if value >= 0.995:
        return ""
    if value > 0.5:
        return f", i.e. {units.percent(1 / value - 1)} longer"
    return f", i.e. {units.digits(1 / value, 2)} times as long"


def effect(title: str, rows: pd.DataFrame) -> str:
    """How many times as fast the setting makes a case; of several, the best and the worst."""
    if len(rows) > 1:
        return ends(rows)
    (row,) = each(rows)
    return (
        f"On this machine {inside(title)} makes {_case(row)} {_speed(row)} as fast{_longer(row.ratio)}"
        f"{times(row, ': ')}."
    )


def inside(title: str) -> str:
    """A title within a sentence."""
    return title[0].lower() + title[1:] if title.startswith(("The ", "Running ")) else title


def ends(rows: pd.DataFrame) -> str:
    """The best and the worst settled case with interval and times; of all cases where none is settled."""
    clear = rows[rows["verdict"] != "unclear"]
    ordered = list(each((clear if len(clear) else rows).sort_values("ratio")))
    worst, best = ordered[0], ordered[-1]
    if len(ordered) == 1:
        return f"{_case(best)}: {_speed(best)}{times(best, ', ')}."
    return (
        f"Best: {_case(best)} with {_speed(best)}{times(best, ', ')}. "
        f"Worst: {_case(worst)} with {_speed(worst)}{times(worst, ', ')}."
    )


def times(row: Any, lead: str) -> str:
    """``41.2 µs instead of 145 µs`` per call, after ``lead``; empty where a time is not known."""
    own, other = _number(row.seconds), _number(row.baseline_seconds)
    if own is None or other is None:
        return ""
    return f"{lead}{units.seconds(own)} instead of {units.seconds(other)}"


def counts(tally: dict[str, int], rows: pd.DataFrame) -> str:
    """``faster in 3 of 7 cases, slower in 4``; ``unclear in all 5 cases``; of a single case ``faster``.

    Verdicts that the run withheld are said to be withheld, and why.
    """
    total = sum(tally.values())
    named = [(verdict, tally[verdict]) for verdict in VERDICTS if tally[verdict]]
    withheld = int(settled(rows[rows["verdict"] == "unclear"]).sum())
    why = f"; {units.plural(withheld, 'verdict')} withheld: {WAITED}" if withheld else ""
    if total == 1:
        return f"{named[0][0]}{why}"
    (first, number), *others = named
    counted = [
        f"{first} in {units.of_all(number, total, 'case')}",
        *(f"{verdict} in {number}" for verdict, number in others),
    ]
    return f"{', '.join(counted)}{why}"


def _case(row: Any) -> str:
    return code(row.name)


def certainty(rows: pd.DataFrame, tally: dict[str, int]) -> str:
    """How many comparisons have a verdict, and why the others are unclear."""
    threshold = units.percent(float(rows["threshold"].max()))
    confidence = units.percent(float(rows["confidence"].min()))
    number = len(rows)
    if number == 1:
        verdict = str(rows["verdict"].iloc[0])
        return {
            "faster": f"Sure: the whole {confidence} interval lies beyond +{threshold}.",
            "slower": f"Sure: the whole {confidence} interval lies beyond −{threshold}.",
            "same": f"Sure: the whole {confidence} interval lies within ±{threshold}.",
            "unclear": f"Not sure: {_why_unclear(rows, confidence, threshold)}.",
        }[verdict]
    clear = number - tally["unclear"]
    counted = ", ".join(f"{tally[verdict]} {verdict}" for verdict in VERDICTS if tally[verdict])
    unclear = rows[rows["verdict"] == "unclear"]
    if not clear:
        return f"Nothing is settled: {_why_unclear(unclear, confidence, threshold)}."
    if tally["faster"] == number or tally["slower"] == number:
        side = "+" if tally["faster"] else "−"
        return f"Sure of all {number}: each {confidence} interval lies beyond {side}{threshold}."
    sure = f"all {number}" if clear == number else f"{clear} of {number}"
    sentence = f"Sure of {sure}, at {confidence} each: {counted} (beyond or within ±{threshold})."
    if (withheld := unclear[settled(unclear)]).empty:
        return sentence
    number = len(withheld)
    return f"{sentence} {_withheld(f'{number} of the unclear cases', number)}."


def _why_unclear(rows: pd.DataFrame, confidence: str, threshold: str) -> str:
    """Why comparisons are unclear: wide intervals, none at all, or a verdict that the run withheld."""
    without = without_interval(rows)
    narrow = settled(rows)
    crossing, number = int((~without & ~narrow).sum()), len(rows)
    reasons = []
    if crossing == number:
        subject = f"each of the {number} intervals ({confidence})" if number > 1 else f"the {confidence} interval"
        reasons.append(f"{subject} crosses ±{threshold}")
    elif crossing:
        reasons.append(
            f"{crossing} of {number} intervals ({confidence}) cross{'es' if crossing == 1 else ''} ±{threshold}"
        )
    if without.any():
        reasons.append(_without_interval(rows[without], number))
    if narrow.any():
        withheld = int(narrow.sum())
        reasons.append(_withheld("it" if number == 1 else str(withheld), withheld))
    return "; ".join(reasons)


def _without_interval(few: pd.DataFrame, number: int) -> str:
    """That ``few`` of ``number`` comparisons have no interval, and why."""
    subject = "" if number == 1 else f"{len(few)} of {number} {'has' if len(few) == 1 else 'have'}"
    if few["visits"].isna().any():
        return f"{subject or 'there are'} fewer than the {MIN_PLACEMENTS} placements that an interval needs"
    most = int(few["visits"].max())
    visits = f"{units.plural(most, 'visit')}"
    return f"{subject or 'it has'} no interval after {visits if few['visits'].min() == most else f'at most {visits}'}"


def _withheld(subject: str, number: int) -> str:
    """That the run withheld a verdict which the interval would give, and why."""
    if number == 1:
        words, notes = "stays unclear although its interval would settle it", "its notes"
    else:
        words, notes = "stay unclear although their intervals would settle them", "their notes"
    return f"{subject} {words}: {WAITED} (see {notes})"


def where(rows: pd.DataFrame, verdict: str) -> str:
    """Which workloads have a verdict, the largest effect first."""
    spans = rows[rows["verdict"] == verdict].groupby("workload", sort=False)["ratio"].agg(["min", "max"])
    spans = spans.sort_values("max", ascending=False) if verdict == "faster" else spans.sort_values("min")
    named = [
        f"{code(str(workload))} {_span(float(span['min']), float(span['max']))}"
        for workload, span in spans.head(MAX_NAMED).iterrows()
    ]
    more = len(spans) - MAX_NAMED
    return f"{verdict.capitalize()}: {', '.join(named)}{f' and {more} more' if more > 0 else ''}."


def overall(rows: pd.DataFrame, tally: dict[str, int], baseline: str) -> str:
    """How many of several alternatives are faster than their baseline."""
    number, faster = len(rows), tally["faster"]
    if not faster:
        subject = "the alternative is not" if number == 1 else f"none of {number} alternatives is"
        return f"On this machine {subject} shown to be faster than {baseline}."
    subject = (
        "the alternative is" if number == 1 else f"{faster} of {number} alternatives {'is' if faster == 1 else 'are'}"
    )
    return f"On this machine {subject} faster than {baseline}."


def alternatives(rows: pd.DataFrame, verdict: str) -> str:
    """Which alternatives have a verdict, the largest effect first, each with its case."""
    selected = rows[rows["verdict"] == verdict].sort_values("ratio", ascending=verdict != "faster")
    if selected.empty:
        return ""
    named = [
        f"{title_of(row.knob, row.value, row.baseline).removesuffix(' together')} {_speed(row)} in {_case(row)}"
        for row in each(selected.head(MAX_NAMED))
    ]
    more = len(selected) - MAX_NAMED
    word = verdict if more <= 0 else {"faster": "fastest", "slower": "slowest"}[verdict]
    return f"{word.capitalize()}: {'; '.join(named)}{f'; and {more} more' if more > 0 else ''}."


def _span(low: float, high: float) -> str:
    first, last = units.ratio(low), units.ratio(high)
    return last if first == last else f"{first[:-1]} to {last}"


def pay_off(rows: pd.DataFrame) -> str:
    """After how many calls a compilation pays off; empty for knobs that compile nothing."""
    if not rows["compiled"].any():
        return ""
    paying = rows[rows["pays_after"].notna()].sort_values("pays_seconds")
    gaining = int((rows["verdict"] == "faster").sum())
    if not gaining and (rows["verdict"] == "unclear").any():
        return "No gain is settled, so neither is when the compilation pays off."
    if not gaining:
        return "Nothing is gained, so the compilation never pays off."
    if paying.empty:
        return "When the compilation pays off is unknown: its baseline has no record in this file."
    first = next(each(paying))
    if len(paying) == 1:
        interval = ""
        if _number(first.pays_after_low) is not None and _number(first.pays_after_high) is not None:
            interval = f" ({units.count(first.pays_after_low)} to {units.count(first.pays_after_high)})"
        subject = "Its" if len(rows) == 1 else f"For {_case(first)}, its"
        return (
            f"{subject} {units.duration(first.first_call)} of compilation pay off after "
            f"{_calls(first.pays_after)}{interval}, {_after(first.pays_seconds)}.{_warm(paying, named=False)}"
        )
    last = list(each(paying))[-1]
    late = int((paying["pays_seconds"] > LONG_SECONDS).sum())
    takes = _durations(rows.loc[rows["compiled"].astype(bool), "first_call"])
    text = (
        f"Compilation takes {takes} and pays off where it helps: soonest after "
        f"{_calls(first.pays_after)} of {_case(first)} ({_after(first.pays_seconds)}), latest after "
        f"{units.count(last.pays_after)} of {_case(last)} ({_after(last.pays_seconds)})."
    )
    if late:
        text += f" In {late} of {len(paying)} that takes more than an hour of this call alone."
    return text + _warm(paying, named=True)


def _warm(paying: pd.DataFrame, *, named: bool) -> str:
    """After how many calls a compilation pays off that a new process loads from a filled cache; empty if unknown."""
    warm = paying[paying["warm_start"].notna() & paying["warm_pays_after"].notna()]
    if warm.empty:
        return ""
    row = next(each(warm.sort_values("warm_pays_after")))
    of = f" of {_case(row)}" if named else ""
    return (
        f" In a new process with a filled cache the first call{of} takes {units.duration(row.warm_start)}, "
        f"which pays off after {_calls(row.warm_pays_after)}."
    )


def _calls(number: float) -> str:
    return f"{units.count(number)} call{'s' if number > 1 else ''}"


def _after(seconds: float) -> str:
    return f"{units.duration(seconds)} in"


def _durations(values: pd.Series[float]) -> str:
    first, last = units.duration(float(values.min())), units.duration(float(values.max()))
    return first if first == last else f"{first} to {last}"


def accuracy(rows: pd.DataFrame) -> str:
    """The largest relative error of the results."""
    worst = _number(rows["relative_error"].max())
    return f"Results differ from float64 by at most {worst:.2g} (relative)." if worst is not None else ""


def _number(value: Any) -> float | None:
    """A cell's number; None for an empty cell."""
    return None if value is None or pd.isna(value) else float(value)
