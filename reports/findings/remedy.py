"""What would settle the unclear comparisons, in a sentence: how much more time, or a quieter machine."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.tables.frames import each, settled
from torchduet.reports.text import units

OUT_OF_REACH = 10.0  # times as many placements: beyond that, time alone is not the remedy
AT_THE_THRESHOLD = 100.0
QUIETER = "a quieter machine, or fewer threads than free cores (`--threads`)"


def to_be_clear(rows: pd.DataFrame, budget: float | None) -> str:
    """What to type, or to change, for the unclear of ``rows``; the width of an interval shrinks with the root of time.

    Those whose intervals would settle them were left open by the run, as its blocks had to wait for a core.

    Args:
        rows: comparisons (``frames.COMPARISON_COLUMNS``).
        budget: seconds that the run was given, if its file says so.
    """
    unclear = rows[rows["verdict"] == "unclear"]
    left_open = settled(unclear)
    rest, number = unclear[~left_open], int(left_open.sum())
    said = [_more_time(rest, _named(len(rest), len(rows), beside=number > 0), budget)] if len(rest) else []
    if number:
        which = "it" if len(rows) == 1 else "the one left open" if number == 1 else f"the {number} left open"
        narrow = "its interval is" if number == 1 else "their intervals are"
        said.append(
            f"To make {which} clear: fewer threads than free cores (`--threads`), or a quieter machine; {narrow} "
            "narrow enough, so that more time changes nothing."
        )
    return " ".join(said)


def _named(number: int, of: int, *, beside: bool) -> str:
    """What so many unclear ones of all comparisons are called, some left open ``beside`` them or not."""
    if of == 1:
        return "it"
    if beside:
        return "the other one" if number == 1 else f"the {number} others"
    return "the unclear one" if number == 1 else f"the {number} unclear"


def _more_time(unclear: pd.DataFrame, which: str, budget: float | None) -> str:
    number = len(unclear)
    few = unclear[(unclear["placements"] < MIN_PLACEMENTS) | unclear["low"].isna()]
    if len(few) == number:
        factor = MIN_PLACEMENTS / max(1, int(few["placements"].min()))
        return (
            f"To make {which} clear: at least {MIN_PLACEMENTS} placements are needed and there were "
            f"{int(unclear['placements'].max())}; give the run more time ({option(budget, factor)})."
        )
    bounded = [row for row in each(unclear) if not pd.isna(row.low)]
    needed = sorted(_more_placements(row) for row in bounded)
    within = [factor for factor in needed if factor <= OUT_OF_REACH]
    widest = max(_half_width(row) for row in bounded)
    note = f" ({len(few)} had fewer than {MIN_PLACEMENTS})" if len(few) else ""
    width = f"the widest interval is ±{units.percent(widest)}{note}"
    if needed[0] > AT_THE_THRESHOLD:
        return f"To make {which} clear: the ratio lies at the threshold itself, so more measuring would not settle it."
    if not within:
        times = f"about {units.count(needed[0])} times as many placements" + (" at least" if len(needed) > 1 else "")
        return f"To make {which} clear: {times}, out of reach by time alone; it takes {QUIETER}; {width}."
    factor = max(2.0, within[-1])
    more = f"about {units.count(factor)} times as many placements ({option(budget, factor)})"
    if len(within) + len(few) == number:
        return f"To make {which} clear: {more}, or {QUIETER}; {width}."
    some = f"{len(within)} of {which}"
    return f"To make {some} clear: {more}; the rest is out of reach by time alone and takes {QUIETER}; {width}."


def option(budget: float | None, factor: float) -> str:
    """What to type for so many times the run's own time: ```--budget 8m```."""
    if budget is None:
        return "`--budget`"
    seconds = budget * max(factor, 1.0)
    if seconds <= 120:
        return f"`--budget {math.ceil(seconds / 10) * 10}s`"
    minutes = math.ceil(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"`--budget {minutes}m`" if minutes < 120 else f"`--budget {hours}h{f'{rest}m' if rest else ''}`"


def budget_of(options: Any) -> float | None:
    """The seconds that a run was given, from its recorded options."""
    seconds = options.get("budget_seconds")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
    return float(seconds) if known else None


def _half_width(row: Any) -> float:
    return (math.log(row.high) - math.log(row.low)) / 2


def _more_placements(row: Any) -> float:
    """How many times as many placements would bring the interval clear of the threshold, if any would."""
    distance = abs(abs(math.log(row.ratio)) - math.log1p(row.threshold))
    return (_half_width(row) / distance) ** 2 if distance > 1e-6 else math.inf
