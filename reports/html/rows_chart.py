"""Forest plots as tables: a row per comparison with its mark and interval, and a second panel with both times.

The marks are placed by the style sheet, in shares of a cell's width, so that a chart uses whatever width there is, is
read by assistive technology as the table that it is, and each of its rows links to its case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from torchduet.reports.charts.axes import decades, round_time
from torchduet.reports.charts.marked import Marked, marked, share
from torchduet.reports.charts.model import Bar
from torchduet.reports.charts.ratio_axis import axis
from torchduet.reports.tables.frames import each
from torchduet.reports.tables.withheld import WAITED, is_withheld
from torchduet.reports.text import units

POINTS = 190.0  # that a plot is assumed to be wide: how many ticks there is room for


@dataclass(frozen=True)
class PlotRow:
    """One comparison.

    Attributes:
        row: of ``frames.COMPARISON_COLUMNS``.
        speedup: on the axis of speed-ups.
        own, base: the times of the case and of its baseline, in per cent of the axis of times; None: not known.
        withheld: the interval would settle it, but its blocks had to wait for a core.
        tip: value, interval, verdict and both times in words.
    """

    row: Any
    speedup: Marked
    own: float | None
    base: float | None
    withheld: bool
    tip: str


@dataclass(frozen=True)
class RowsChart:
    """A forest plot.

    Attributes:
        ticks, time_ticks: (position in per cent, label).
        one: where 1× is; ``band``: where the changes that are too small to matter lie.
    """

    rows: tuple[PlotRow, ...]
    ticks: tuple[tuple[float, str], ...]
    one: float
    band: tuple[float, float]
    time_ticks: tuple[tuple[float, str], ...]

    @property
    def times(self) -> bool:
        """Whether there is a panel of times."""
        return bool(self.time_ticks)


def rows_chart(rows: pd.DataFrame) -> RowsChart:
    """The comparisons, the fastest first; ``rows`` has at least one (``frames.COMPARISON_COLUMNS``)."""
    ordered = list(each(rows.sort_values("ratio", ascending=False, kind="stable")))
    bars = [Bar("", row.name, row.ratio, _number(row.low), _number(row.high), row.verdict) for row in ordered]
    low, high, ticks = axis(bars, POINTS)
    threshold = float(rows["threshold"].max())
    known = [value for row in ordered for value in (row.seconds, row.baseline_seconds) if _positive(value)]
    least, most = (min(known) / 1.3, max(known) * 1.3) if known else (1.0, 1.0)
    return RowsChart(
        rows=tuple(
            PlotRow(
                row,
                marked(bar.ratio, bar.low, bar.high, low, high),
                share(row.seconds, least, most) if _positive(row.seconds) else None,
                share(row.baseline_seconds, least, most) if _positive(row.baseline_seconds) else None,
                _withheld(row),
                tip(row),
            )
            for row, bar in zip(ordered, bars, strict=True)
        ),
        ticks=tuple((share(tick, low, high), f"{tick:g}×" if tick >= 1e-4 else f"{tick:.0e}×") for tick in ticks),
        one=share(1.0, low, high),
        band=(share(1 / (1 + threshold), low, high), share(1 + threshold, low, high)),
        time_ticks=_time_ticks(least, most) if known else (),
    )


def tip(row: Any) -> str:
    """``1.31× (1.28 to 1.33), faster; 41.2 µs instead of 54.0 µs per call``."""
    interval = units.ratio_interval(_number(row.low), _number(row.high))
    times = ""
    if _positive(row.seconds) and _positive(row.baseline_seconds):
        times = f"; {units.seconds(row.seconds)} instead of {units.seconds(row.baseline_seconds)} per call"
    withheld = f", its verdict withheld as {WAITED}" if _withheld(row) else ""
    return f"{units.ratio(row.ratio)} ({interval or 'no interval'}), {row.verdict}{withheld}{times}"


def _withheld(row: Any) -> bool:
    return is_withheld(row.verdict, _number(row.low), _number(row.high), _number(row.threshold))


def _time_ticks(least: float, most: float) -> tuple[tuple[float, str], ...]:
    ticks = decades(least, most)
    return tuple((share(tick, least, most), round_time(tick)) for tick in dict.fromkeys((ticks[0], ticks[-1])))


def _positive(value: Any) -> bool:
    return value is not None and not pd.isna(value) and value > 0


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
