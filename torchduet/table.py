"""A comparison as a table of text, with the answer above it."""

from __future__ import annotations

import math
from collections import Counter

from torchduet.bench.record.marks import explained, short_marks
from torchduet.bench.record.units import MARK
from torchduet.reports.text import units
from torchduet.result import Compared, Result, label_of

COLUMNS = ("function", "time per call", "speed-up", "99 % interval", "verdict")


def lines(comparison: Compared) -> list[str]:
    """The answer, a row per case, and what the figures rest on."""
    shown = comparison.results
    settings = differing(shown)
    header = [COLUMNS[0], *settings, *COLUMNS[1:]]
    rows = [[result.name, *(str(result.settings[knob]) for knob in settings), *_cells(result)] for result in shown]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    text = len(settings) + 1  # columns of words, which begin at the left
    table = [
        "  ".join(
            cell.ljust(width) if at < text or at == len(header) - 1 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
    return [*answer(comparison), "", *table, "", *closing(comparison)]


def answer(comparison: Compared) -> list[str]:
    """One sentence where one function is held against another in one case; the counts of verdicts otherwise."""
    compared = [result for result in comparison.results if result.baseline is not None]
    if not compared:
        return [sentence_of_time(result) for result in comparison.results[:1] if len(comparison.results) == 1]
    if len(compared) == 1:
        return [sentence(compared[0])]
    counts = {verdict: sum(result.verdict == verdict for result in compared) for verdict in MARK}
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    best = max(compared, key=lambda result: result.speedup)
    interval = units.ratio_interval(_or_none(best.low), _or_none(best.high)) or "no interval"
    own, other = label_of(best), best.baseline
    over = f" over {label_of(other)}" if other is not None and other.name == best.name else ""
    figure = f"{own} with {units.ratio(best.speedup)}{over} ({interval})"
    return [f"{len(compared)} comparisons with {comparison.baseline}: {words}. Best: {figure}"]


def sentence(result: Result) -> str:
    """``mine is 1.31× as fast as torch (1.29 to 1.33)``, or that it is the same, or not settled."""
    other = result.baseline
    assert other is not None
    names = [_words(each, other if each is result else result) for each in (result, other)]
    interval = units.ratio_interval(_or_none(result.low), _or_none(result.high))
    if result.verdict == "same":
        return f"{names[0]} and {names[1]} are the same within {units.percent(result.threshold)} ({interval})"
    if result.verdict == "unclear":
        why = result.withheld or other.withheld
        figure = f"{units.ratio(result.speedup)} ({interval or 'no interval'})"
        return f"{names[0]} against {names[1]} is not settled: {figure}" + (f"; no verdict: {why}" if why else "")
    return f"{names[0]} is {units.ratio(result.speedup)} as fast as {names[1]} ({interval})"


def sentence_of_time(result: Result) -> str:
    """``f takes 30.1 µs per call (29.9 to 30.4 µs)``."""
    low, high = result.seconds_interval
    interval = units.seconds_interval(_or_none(low), _or_none(high))
    if interval and high > units.UNSETTLED * low:
        return f"{result.name} takes about {units.seconds(result.seconds)} per call: not settled ({interval})"
    return f"{result.name} takes {units.seconds(result.seconds)} per call" + (f" ({interval})" if interval else "")


def closing(comparison: Compared) -> list[str]:
    """What the figures rest on, notes, warnings and what was not measured."""
    return [
        comparison.covers,
        *notes(comparison.results),
        *(f"warning: {warning}" for warning in comparison.warnings),
        *gaps(comparison),
    ]


def _matters(comparison: Compared) -> bool:
    """Whether noise changes what the results say: it leaves a verdict unclear, or there are times alone."""
    results = comparison.results
    return any(result.verdict == "unclear" for result in results) or all(result.baseline is None for result in results)


def gaps(comparison: Compared) -> list[str]:
    """What was not measured, what leaves verdicts unclear, and why the comparison ended early."""
    reasons = Counter((*comparison.failed.values(), *comparison.skipped.values()))
    return [
        *(f"{f'{count} cases ' if count > 1 else ''}not measured: {why}" for why, count in reasons.items()),
        *(comparison.noise if _matters(comparison) else ()),
        *([f"ended early: {comparison.stopped}"] if comparison.stopped else []),
    ]


def labelled(result: Result, setting: str) -> str:
    """``n=1024``; a device, a mode or a precision stands for itself."""
    value = str(result.settings[setting])
    return f"{setting}={value}" if setting in result.size else value


def notes(results: list[Result]) -> list[str]:
    """A line for each mark, with the functions that have it."""
    names: dict[str, dict[str, None]] = {}
    for result in results:
        for line in explained([result.record]):
            names.setdefault(line.removesuffix(f": {result.record['case']['id']}"), {})[result.name] = None
    return [f"{line}: {', '.join(of)}" for line, of in names.items()]


def _cells(result: Result) -> list[str]:
    marks = short_marks(result.record)
    if result.baseline is None:
        return [units.seconds(result.seconds), "", "", marks]
    interval = units.ratio_interval(_or_none(result.low), _or_none(result.high))
    return [
        units.seconds(result.seconds),
        units.ratio(result.speedup),
        interval,
        f"{MARK[result.verdict]} {result.verdict}" + (f"  {marks}" if marks else ""),
    ]


def differing(results: list[Result]) -> list[str]:
    """The settings in which cases differ."""
    if not results:
        return []
    return [knob for knob in results[0].settings if len({str(result.settings.get(knob)) for result in results}) > 1]


def _words(result: Result, other: Result) -> str:
    settings = result.settings.items()
    return " ".join([result.name, *(str(own) for knob, own in settings if str(other.settings.get(knob)) != str(own))])


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
