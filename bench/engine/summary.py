"""The table at the end of a run: speed-ups with intervals and verdicts, strongest first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.engine.schema import Record, SpeedupRecord

MOST_ROWS = 40
MARK = {"faster": "+", "slower": "-", "same": "=", "unclear": "?"}


def factor(value: float | None) -> str:
    """A speed-up with three significant digits: ``1.31×``."""
    if value is None:
        return "?"
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 2
    return f"{value:.{min(digits, 4)}f}×"


def rows(records: Sequence[Record]) -> Iterator[tuple[str, SpeedupRecord]]:
    """(case id, speed-up) for each knob turned, strongest effect first within a knob."""
    found = [
        (record["case"]["id"], speedup)
        for record in records
        for speedup in record["speedups"]
        if speedup["knob"] != "reference"
    ]
    found.sort(key=lambda row: (row[1]["knob"], row[1]["value"], -row[1]["ratio"]))
    yield from found


def table(records: Sequence[Record], most: int = MOST_ROWS) -> list[str]:
    """The table's lines; empty when nothing was compared."""
    found = list(rows(records))
    if not found:
        return []
    shown = found if len(found) <= most else sorted(found, key=lambda row: -abs(math.log(row[1]["ratio"])))[:most]
    shown = [row for row in found if row in shown]
    names = [case for case, _ in shown]
    width = max(map(len, [*names, "case"]))
    lines = [f"{'case':<{width}}  {'against':<12} {'speed-up':>9}  {'99 % interval':<17}  verdict"]
    for case, speedup in shown:
        interval = f"{factor(speedup['low'])} to {factor(speedup['high'])}"
        lines.append(
            f"{case:<{width}}  {speedup['baseline']:<12} {factor(speedup['ratio']):>9}  {interval:<17}  "
            f"{MARK[speedup['verdict']]} {speedup['verdict']}"
        )
    if len(shown) < len(found):
        lines.append(f"… and {len(found) - len(shown)} smaller effects; the report has them all")
    return lines
