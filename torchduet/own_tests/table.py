"""The table of a session's duets at the end of pytest's output."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.units import MARK
from torchduet.own_tests.outcomes import FAILED, SKIPPED, Outcome, Row
from torchduet.reports.text import units

COLUMNS = ("test", "function", "against", "speed-up", "99 % interval", "verdict")
NUMBERS = (3, 4)  # columns that end at the right
MAX_ROWS = 25
ORDER = (FAILED, "slower", "unclear", SKIPPED, "faster", "same")  # of the rows that are shown where there are too many
UNCLEAR = "unclear: more time makes the interval narrower, e.g. --duet-budget 30s; less noise does, too"
MAX_REASONS = 3


def lines(outcomes: Sequence[Outcome], verbosity: int = 0) -> list[str]:
    """The table, and what its words mean; from ``-q`` on only the counts."""
    rows = [(outcome, row) for outcome in outcomes for row in outcome.rows]
    if verbosity < 0:
        return [counts([row for _, row in rows])]
    shown = _most_important(rows, len(rows) if verbosity > 0 else MAX_ROWS)
    cells = [COLUMNS, *(_cells(outcome, row) for outcome, row in shown)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    table = ["  ".join(_aligned(row, widths)).rstrip() for row in cells]
    left_out = len(rows) - len(shown)
    return [
        *table,
        *([f"and {left_out} more, which -v shows"] if left_out else []),
        counts([row for _, row in rows]),
        *([UNCLEAR] if any(row.verdict == "unclear" for _, row in rows) else []),
        *_said(outcomes),
    ]


def _said(outcomes: Sequence[Outcome]) -> list[str]:
    """Why cases were skipped or have no verdict, and warnings: each once, at most three."""
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    reasons = [f"skipped: {entry['reason']}" for run in runs for entry in run["skipped"]]
    notes = [note for each in outcomes for record in each.records for note in record["notes"]]
    reasons += [note for note in notes if note.startswith(NO_VERDICT)]
    alone = [
        f"measured by this process only, so intervals may be too narrow: {each.alone}"
        for each in outcomes
        if each.alone
    ]
    warnings = [f"warning: {warning}" for run in runs for warning in run["warnings"]]
    found = list(dict.fromkeys([*reasons, *alone, *warnings]))
    more = len(found) - MAX_REASONS
    return [*found[:MAX_REASONS], *([f"and {more} more, which are in the file of --duet-json"] if more > 0 else [])]


def counts(rows: Sequence[Row]) -> str:
    """``5 comparisons: 1 slower, 4 same``."""
    numbers = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ORDER}
    words = ", ".join(f"{number} {verdict}" for verdict, number in numbers.items() if number)
    return f"{len(rows)} comparison{'s' * (len(rows) != 1)}: {words}"


def _most_important(rows: Sequence[tuple[Outcome, Row]], number: int) -> list[tuple[Outcome, Row]]:
    """So many rows, in the order of the session: first those that failed, are slower or unclear."""
    by_verdict = sorted(range(len(rows)), key=lambda at: ORDER.index(rows[at][1].verdict))
    return [rows[at] for at in sorted(by_verdict[:number])]


def _cells(outcome: Outcome, row: Row) -> tuple[str, ...]:
    speedup = "" if row.speedup is None else units.ratio(row.speedup)
    mark = MARK.get(row.verdict, "!")
    interval = units.ratio_interval(row.low, row.high)
    return (outcome.name, row.function, row.against, speedup, interval, f"{mark} {row.verdict}")


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if at in NUMBERS else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
