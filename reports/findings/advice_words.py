"""The sentences an answer is made of, from the comparisons behind it.

Text only: code names stand between backticks, and how that looks is left to the page. Each function
takes the comparisons of one setting (``frames.COMPARISON_COLUMNS``); an empty sentence has nothing to say.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import BY_NAME, code
from torchduet.bench.record.schema import VERDICTS
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.tables.frames import each, settled
from torchduet.reports.text import units
from torchduet.reports.text.settings import TOGETHER

LONG_SECONDS = 3600.0
NAMED = 3  # how many workloads a sentence names before it says "and N more"


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
    title = title[0].lower() + title[1:] if title.startswith("The ") else title
    ordered = list(each(rows.sort_values("ratio")))
    worst, best = ordered[0], ordered[-1]
    if len(ordered) == 1:
        return f"On this machine {title} makes {_case(best)} {_speed(best)} as fast{_longer(best.ratio)}."
    middle = float(rows["ratio"].median())
    return (
        f"On this machine {title} makes the {len(ordered)} cases {units.ratio(middle)} as fast in the median"
        f"{_longer(middle)}. Best: {_case(best)} with {_speed(best)}{_longer(best.ratio)}. "
        f"Worst: {_case(worst)} with {_speed(worst)}{_longer(worst.ratio)}."
    )


def _case(row: Any) -> str:
    return code(row.name)


def certainty(rows: pd.DataFrame, tally: dict[str, int]) -> str:
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
    said = f"Sure of {sure}, at {confidence} each: {counted} (beyond or within ±{threshold})."
    if (left_open := unclear[settled(unclear)]).empty:
        return said
    return f"{said} Of the unclear {_left_open(len(left_open))}."


def _why_unclear(rows: pd.DataFrame, confidence: str, threshold: str) -> str:
    """What keeps unclear comparisons open: their intervals, too few placements for one, or the run itself."""
    without = rows["low"].isna() | (rows["placements"] < MIN_PLACEMENTS)
    narrow = settled(rows)
    crossing, number = int((~without & ~narrow).sum()), len(rows)
    said = []
    if crossing == number:
        each_one = f"each of the {number} intervals ({confidence})" if number > 1 else f"the {confidence} interval"
        said.append(f"{each_one} crosses ±{threshold}")
    elif crossing:
        said.append(
            f"{crossing} of {number} intervals ({confidence}) cross{'es' if crossing == 1 else ''} ±{threshold}"
        )
    if few := int(without.sum()):
        has = "there are" if number == 1 else f"{few} of {number} {'has' if few == 1 else 'have'}"
        said.append(f"{has} fewer than the {MIN_PLACEMENTS} placements that an interval takes")
    if narrow.any():
        said.append(_left_open(int(narrow.sum()), alone=number == 1))
    return "; ".join(said)


def _left_open(number: int, *, alone: bool = False) -> str:
    """That the run gave no verdict on what its intervals would settle, and why."""
    one = number == 1
    subject, are = "it" if alone else str(number), "is" if one else "are"
    would = "its interval would settle it" if one else "their intervals would settle them"
    whose = "its" if one else "their"
    return f"{subject} {are} left open although {would}: blocks had to wait for a core, as {whose} notes say"


def where(rows: pd.DataFrame, verdict: str) -> str:
    """Which workloads a verdict holds for, the strongest first."""
    spans = rows[rows["verdict"] == verdict].groupby("workload", sort=False)["ratio"].agg(["min", "max"])
    spans = spans.sort_values("max", ascending=False) if verdict == "faster" else spans.sort_values("min")
    named = [
        f"{code(str(workload))} {_span(float(span['min']), float(span['max']))}"
        for workload, span in spans.head(NAMED).iterrows()
    ]
    more = len(spans) - NAMED
    return f"{verdict.capitalize()}: {', '.join(named)}{f' and {more} more' if more > 0 else ''}."


def overall(rows: pd.DataFrame, tally: dict[str, int], baseline: str) -> str:
    """How many of several alternatives beat what they are alternatives to."""
    if not tally["faster"]:
        return f"On this machine none of {len(rows)} alternatives is shown to be faster than {baseline}."
    are = "is" if tally["faster"] == 1 else "are"
    return f"On this machine {tally['faster']} of {len(rows)} alternatives {are} faster than {baseline}."


def alternatives(rows: pd.DataFrame, verdict: str) -> str:
    """Which alternatives a verdict holds for, the strongest first, each with its case."""
    chosen = rows[rows["verdict"] == verdict].sort_values("ratio", ascending=verdict != "faster")
    if chosen.empty:
        return ""
    named = [
        f"{title_of(row.knob, row.value, row.baseline).removesuffix(' together')} {_speed(row)} in {_case(row)}"
        for row in each(chosen.head(NAMED))
    ]
    more = len(chosen) - NAMED
    word = verdict if more <= 0 else {"faster": "fastest", "slower": "slowest"}[verdict]
    return f"{word.capitalize()}: {'; '.join(named)}{f'; and {more} more' if more > 0 else ''}."


def _span(low: float, high: float) -> str:
    first, last = units.ratio(low), units.ratio(high)
    return last if first == last else f"{first[:-1]} to {last}"


def pay_off(rows: pd.DataFrame) -> str:
    """When compilation has paid for itself; nothing for knobs that compile nothing."""
    if not rows["compiled"].any():
        return ""
    paying = rows[rows["pays_after"].notna()].sort_values("pays_seconds")
    gaining = int((rows["verdict"] == "faster").sum())
    if not gaining:
        return "Nothing is gained, so the compilation never pays off."
    if paying.empty:
        return "When the compilation pays off cannot be said: its baseline has no record in this file."
    first = next(each(paying))
    if len(paying) == 1:
        interval = ""
        if _number(first.pays_after_low) is not None and _number(first.pays_after_high) is not None:
            interval = f" ({units.count(first.pays_after_low)} to {units.count(first.pays_after_high)})"
        subject = "Its" if len(rows) == 1 else f"For {_case(first)}, its"
        return (
            f"{subject} {units.duration(first.first_call)} of compilation pay off after "
            f"{_calls(first.pays_after)}{interval}, {_after(first.pays_seconds)}."
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
        text += f" In {late} of {len(paying)} that takes more than an hour of nothing but this call."
    return text


def _calls(number: float) -> str:
    return f"{units.count(number)} call{'s' if number > 1 else ''}"


def _after(seconds: float) -> str:
    return f"{units.duration(seconds)} in"


def _durations(values: pd.Series[float]) -> str:
    first, last = units.duration(float(values.min())), units.duration(float(values.max()))
    return first if first == last else f"{first} to {last}"


def accuracy(rows: pd.DataFrame) -> str:
    worst = _number(rows["relative_error"].max())
    return f"Results differ from float64 by at most {worst:.2g} (relative)." if worst is not None else ""


def _number(value: Any) -> float | None:
    """A cell's number; None for an empty one."""
    return None if value is None or pd.isna(value) else float(value)
