"""Says what would settle the unclear comparisons: how much more time, or a quieter machine."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.tables.frames import each, settled, without_interval
from torchduet.reports.text import units

OUT_OF_REACH = 10.0  # times as much time; if more is needed, time alone is not the remedy
AT_THE_THRESHOLD = 100.0  # times as much time; if more is needed, the ratio is too close to the threshold
MUCH_WIDER = 2.0  # half an interval over the threshold
FEW_VISITS = 3  # with fewer, an interval may be too wide to be one
FAR_TOO_WIDE = math.log(3.0)  # half an interval of log ratios: so wide a one is no matter of the budget alone


def to_settle(rows: pd.DataFrame, budget: float | None, threads: int | None = None, *, busy: bool = False) -> str:
    """What to type, or to change, to settle the unclear ``rows``: an interval shrinks with the root of time.

    If an interval would settle a row, the run withheld its verdict because blocks had to wait for a core.

    Args:
        rows: comparisons (``frames.COMPARISON_COLUMNS``).
        budget: the run's budget in seconds, if its file records one.
        threads: of the run, if its file says; one thread cannot be fewer.
        busy: the machine was disturbed.
    """
    unclear = rows[rows["verdict"] == "unclear"]
    withheld = settled(unclear)
    rest, number = unclear[~withheld], int(withheld.sum())
    sentences = []
    if len(rest):
        which = _subject(len(rest), len(rows), beside=number > 0)
        sentences.append(_more_time(rest, which, budget, _quieter(threads), busy))
    if number:
        cases = "the case whose verdict was" if number == 1 else f"the {number} cases whose verdicts were"
        which = "it" if len(rows) == 1 else f"{cases} withheld"
        narrow = "its interval is" if number == 1 else "their intervals are"
        sentences.append(
            f"To settle {which}: {_free_cores(threads)}; {narrow} narrow enough, so more time changes nothing."
        )
    return " ".join(sentences)


def _quieter(threads: int | None) -> str:
    fewer = "" if threads == 1 else ", or fewer threads than free cores (`--threads`)"
    return f"a quieter machine{fewer}"


def _free_cores(threads: int | None) -> str:
    """What lets blocks run without waiting for a core."""
    if threads == 1:
        return "a quieter machine (close what else is running)"
    return "fewer threads than free cores (`--threads`), or a quieter machine"


def _subject(number: int, of: int, *, beside: bool) -> str:
    """The words for ``number`` unclear cases; ``beside``: other cases had their verdicts withheld."""
    if of == 1:
        return "it"
    if beside:
        return "the other unclear case" if number == 1 else f"the {number} other unclear cases"
    return "the unclear case" if number == 1 else f"the {number} unclear cases"


def _more_time(unclear: pd.DataFrame, which: str, budget: float | None, quieter: str, busy: bool) -> str:
    number = len(unclear)
    few = unclear[without_interval(unclear)]
    if len(few) == number:
        return _first_interval(few, which, budget)
    bounded = [row for row in each(unclear) if not pd.isna(row.low)]
    needed = sorted(times_as_long(row) for row in bounded if _half_width(row) <= FAR_TOO_WIDE)
    within = [factor for factor in needed if factor <= OUT_OF_REACH]
    widest = max(_half_width(row) for row in bounded)
    over_visits = bool(unclear["visits"].notna().all())
    note = "" if few.empty else f" ({len(few)} had {'none' if over_visits else f'fewer than {MIN_PLACEMENTS}'})"
    width = f"the widest interval is {units.half_width(widest)}{note}"
    much = "times as long" if over_visits else "times as many placements"
    if not needed:
        machine = " on a machine this busy" if busy else ""
        return f"A longer budget alone will not settle {which}{machine}: it takes {quieter}; {width}."
    if needed[0] > AT_THE_THRESHOLD:
        if widest > MUCH_WIDER * math.log1p(float(unclear["threshold"].max())):
            wide = "its interval is" if number == 1 else "their intervals are"
            much = f"{wide} far wider than the threshold; {width}"
            return f"More time would hardly settle {which}: {much}. It takes {quieter}."
        ratio = "its ratio is" if number == 1 else "their ratios are"
        return f"More time would not settle {which}: {ratio} too close to the threshold; {width}."
    if not within:
        times = f"about {units.count(needed[0])} {much}" + (" at least" if len(needed) > 1 else "")
        return f"To settle {which}: {times}, out of reach by time alone; it takes {quieter}; {width}."
    factor = max(2.0, within[-1])
    more = f"about {units.count(factor)} {much} ({option(budget, factor)})"
    if len(within) + len(few) == number:
        return f"To settle {which}: {more}, or {quieter}; {width}."
    some = f"{len(within)} of {which}"
    return f"To settle {some}: {more}; the rest is out of reach by time alone and takes {quieter}; {width}."


def _first_interval(few: pd.DataFrame, which: str, budget: float | None) -> str:
    """What gives the ``few`` comparisons an interval."""
    if few["visits"].isna().any():
        factor = MIN_PLACEMENTS / max(1, int(few["placements"].min()))
        return (
            f"To settle {which}: at least {MIN_PLACEMENTS} placements are needed and there were "
            f"{int(few['placements'].max())}; give the run more time ({option(budget, factor)})."
        )
    fewest, most = int(few["visits"].min()), int(few["visits"].max())
    factor = max(2.0, FEW_VISITS / max(1, fewest))
    were = "there was 1" if most == 1 else f"there were {most}"
    return f"To settle {which}: more visits are needed, and {were}; give the run more time ({option(budget, factor)})."


def option(budget: float | None, factor: float) -> str:
    """The option that gives a run ``factor`` times its budget: ```--budget 8m```."""
    if budget is None:
        return "`--budget`"
    seconds = budget * max(factor, 1.0)
    if seconds <= 120:
        return f"`--budget {math.ceil(seconds / 10) * 10}s`"
    minutes = math.ceil(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"`--budget {minutes}m`" if minutes < 120 else f"`--budget {hours}h{f'{rest}m' if rest else ''}`"


def budget_of(options: Any) -> float | None:
    """The budget of a run in seconds, from its recorded options."""
    seconds = options.get("budget_seconds")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
    return float(seconds) if known else None


def _half_width(row: Any) -> float:
    return (math.log(row.high) - math.log(row.low)) / 2


def times_as_long(row: Any) -> float:
    """How many times as long a run would separate the interval from the threshold; infinite if none would.

    An interval over visits that is much wider than the threshold does not show how close to it the ratio is: the ratio
    may as well lie a standard error away.
    """
    half, bound = _half_width(row), math.log1p(row.threshold)
    distance = abs(abs(math.log(row.ratio)) - bound)
    if not pd.isna(row.deviation) and half > MUCH_WIDER * bound:
        distance = max(distance, row.deviation / math.sqrt(row.visits))
    if distance <= 1e-6:
        return math.inf
    if pd.isna(row.deviation):
        return float((half / distance) ** 2)
    return _more_visits(row, distance) / int(row.visits)


def _more_visits(row: Any, distance: float) -> float:
    """With how many visits half the interval is no wider than ``distance``, if they scatter as those that there were.

    The quantile of t falls with their number, too: from three visits to four by more than their root does.
    """
    number = int(row.visits)
    half = _half_width(row) / two_sided_quantile(row.confidence, row.degrees) * math.sqrt(number)

    def narrow(visits: int) -> bool:
        quantile = two_sided_quantile(row.confidence, row.degrees + visits - number)
        return bool(quantile * half <= distance * math.sqrt(visits))

    low, high = number, math.ceil(AT_THE_THRESHOLD * number) + 1
    if not narrow(high):
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if narrow(middle) else (middle, high)
    return high
