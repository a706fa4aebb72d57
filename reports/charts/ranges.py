"""Draws times as ranges: a row per benchmark with median, quartiles and minimum, on a logarithmic axis.

As in all of ``charts``, the input is numbers and labels, not runs or files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator, NullLocator

from torchduet.reports.charts.axes import decades, new_axes, round_time, text_beside, ticks_at
from torchduet.reports.charts.label_fit import fitted, text_width
from torchduet.reports.charts.svg import INK, LINE_COLOURS, RULE, STYLE, to_svg
from torchduet.reports.text import units

ROW, LINE, FOOT, GAP = 19.0, 15.0, 30.0, 10.0
PLOT, MAX_LABEL, NARROW = 330.0, 300.0, 270.0
MARK = LINE_COLOURS[0]


@dataclass(frozen=True)
class Range:
    """One row: seconds per call; None where the file has no such figure.

    Attributes:
        least: the minimum.
        low, high: the quartiles.
    """

    label: str
    median: float
    least: float | None
    low: float | None
    high: float | None


def ranges(rows: Sequence[Range], prefix: str, *, narrow: bool = False) -> str:
    """Medians as dots, quartiles as bars, minima as ticks; narrow: names above their marks; returns SVG."""
    medians = max(text_width(units.seconds(row.median), bold=True) for row in rows) + GAP
    labels = 0.0 if narrow else min(MAX_LABEL, max(text_width(row.label) for row in rows)) + GAP
    step = ROW + LINE if narrow else ROW
    height = step * len(rows)
    width = NARROW if narrow else labels + PLOT + medians
    inset = 14.0 if narrow else 0.0
    with rc_context(STYLE):
        box = (labels + inset, FOOT, width - labels - medians - 2 * inset, height)
        figure, axes = new_axes(width, height + FOOT, box)
        axes.set_xscale("log")
        ends = [value for row in rows for value in (row.median, row.least, row.low, row.high) if value]
        axes.set_xlim(min(ends) / 1.15, max(ends) * 1.15)
        axes.set_ylim(height, 0)
        for index, row in enumerate(rows):
            y = step * index + (LINE + ROW / 2 if narrow else ROW / 2)
            if row.low and row.high:
                axes.plot([row.low, row.high], [y, y], color=MARK, linewidth=9, solid_capstyle="butt", alpha=0.35)
            if row.least:
                axes.plot([row.least] * 2, [y - 4, y + 4], color=MARK, linewidth=1.4)
            axes.plot([row.median], [y], color=MARK, marker="o", markersize=5, markeredgewidth=0, linestyle="none")
            if narrow:
                text_beside(axes, 0.0, y - ROW / 2 - 3, fitted(row.label, NARROW - 4), -inset, "left", colour=INK)
            else:
                text_beside(axes, 0.0, y, fitted(row.label, MAX_LABEL), -GAP, "right", colour=INK)
            median_ends = medians - 2 + inset
            text_beside(axes, 1.0, y, units.seconds(row.median), median_ends, "right", colour=INK, weight="bold")
        ticks = _ticks(*axes.get_xlim(), most=3 if narrow else 6)
        ticks_at(axes.xaxis, ticks, [round_time(tick) for tick in ticks])
        axes.yaxis.set_major_locator(NullLocator())
        axes.grid(visible=True, axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
        return to_svg(figure, prefix)


def _ticks(bottom: float, top: float, most: int) -> list[float]:
    """Round times on the axis: a few per decade; equal steps where the axis spans less than a factor of 5."""
    if top / bottom < 5:
        return [
            tick
            for tick in MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(bottom, top)
            if bottom <= tick <= top
        ]
    ticks = decades(bottom, top)
    return ticks[:: math.ceil(len(ticks) / most)]
