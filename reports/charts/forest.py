"""Forest plots of speed-ups: a row per comparison with its interval, wide or, for a telephone, stacked.

As in all of ``charts``, the input is numbers and labels, not runs or files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import NullLocator

from torchduet.reports.charts.axes import new_axes, text_beside, ticks_at
from torchduet.reports.charts.label_fit import fitted, text_width, wrapped
from torchduet.reports.charts.model import Bar
from torchduet.reports.charts.ratio_axis import axis
from torchduet.reports.charts.svg import BAND, INK, MUTED, PAPER, RULE, STYLE, VERDICT_COLOURS, to_svg
from torchduet.reports.text import units

# The same shapes as the symbols of verdicts in the page's text: ▲ ▼ ■ ○
MARKERS = {"faster": "^", "slower": "v", "same": "s", "unclear": "o"}
ROW, LINE = 17.0, 14.0  # points: the height of a row of one line, and of each line where there are several
PLOT, MAX_LABEL = 320.0, 300.0
NARROW, INSET = 270.0, 14.0
GAP, FOOT = 8.0, 30.0


@dataclass(frozen=True)
class Layout:
    """Widths in points: of the chart, and of its columns of labels (0: above their marks), ratios and intervals."""

    width: float
    labels: float
    ratios: float
    intervals: float

    @property
    def plot(self) -> float:
        """The width left for the marks."""
        return self.width - self.labels - self.ratios - self.intervals - (3 if self.labels else 2) * GAP


@dataclass(frozen=True)
class Row:
    """A bar, or a group's name (``bar`` is None), with its lines of text; positions in points from the top."""

    lines: list[str]
    top: float
    mark: float
    bottom: float
    bar: Bar | None


def forest(bars: Sequence[Bar], threshold: float, prefix: str, *, narrow: bool = False) -> str:
    """Speed-ups with intervals on a logarithmic axis, one row each under the group's name; returns SVG."""
    layout = _layout(bars, narrow)
    rows = list(_rows(bars, layout))
    height = rows[-1].bottom + 4
    left = layout.labels + GAP + 4 if layout.labels else INSET
    across = layout.plot - 8 if layout.labels else layout.plot - INSET - 4
    with rc_context(STYLE):
        figure, axes = new_axes(layout.width, height + FOOT, (left, FOOT, across, height))
        low, high, ticks = axis(bars, across)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(height, 0)
        if layout.labels:
            axes.axvspan(1 / (1 + threshold), 1 + threshold, color=BAND, linewidth=0)
            axes.axvline(1, color=MUTED, linewidth=1)
        ticks_at(axes.xaxis, ticks, [f"{tick:g}×" for tick in ticks])
        axes.yaxis.set_major_locator(NullLocator())
        if not layout.labels:
            _guides(axes, [row.mark for row in rows if row.bar], threshold)
        for row in rows:
            _texts(axes, row, layout)
        for verdict in MARKERS:
            _marks(axes, [(row.mark, row.bar) for row in rows if row.bar and row.bar.verdict == verdict], low, high)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
        return to_svg(figure, prefix)


def _layout(bars: Sequence[Bar], narrow: bool) -> Layout:
    ratios = max(text_width(units.ratio(bar.ratio), bold=True) for bar in bars)
    intervals = max(text_width(bar.interval) for bar in bars)
    if narrow:
        return Layout(NARROW, 0.0, ratios, intervals)
    widest = max(*(text_width(bar.label) for bar in bars), *(text_width(bar.group, bold=True) for bar in bars), 140.0)
    labels = min(widest, MAX_LABEL)
    return Layout(labels + PLOT + ratios + intervals + 3 * GAP, labels, ratios, intervals)


def _rows(bars: Sequence[Bar], layout: Layout) -> Iterator[Row]:
    """Every row with its lines and its height."""
    below = 4.0
    for group, members in itertools.groupby(bars, key=lambda bar: bar.group):
        name = fitted(group, layout.labels or layout.width, bold=True)
        yield Row([name], below, below + ROW / 2, below + ROW, None)
        below += ROW
        for bar in members:
            lines = wrapped(bar.label, layout.labels or layout.width)
            if layout.labels:
                height = ROW if len(lines) == 1 else LINE * len(lines) + 2
                mark = below + height / 2
            else:
                height = LINE * len(lines) + ROW + 4
                mark = below + height - ROW / 2 - 4
            yield Row(lines, below, mark, below + height, bar)
            below += height


def _texts(axes: Axes, row: Row, layout: Layout) -> None:
    """The texts of a row: its label, its ratio and its interval."""
    first = row.mark - LINE * (len(row.lines) - 1) / 2 if layout.labels or row.bar is None else row.top + LINE / 2
    for index, line in enumerate(row.lines):
        y = first + LINE * index
        weight, colour = ("bold", MUTED) if row.bar is None else ("normal", INK)
        shift, align = (-GAP - 4, "right") if layout.labels else (-INSET, "left")
        text_beside(axes, 0.0, y, line, shift, align, colour=colour, weight=weight)
    if row.bar is None:
        return
    ratio_ends = GAP + 4 + layout.ratios
    text_beside(axes, 1.0, row.mark, units.ratio(row.bar.ratio), ratio_ends, "right", colour=INK, weight="bold")
    text_beside(axes, 1.0, row.mark, row.bar.interval, ratio_ends + GAP, "left", colour=MUTED)


def _guides(axes: Axes, marks: Sequence[float], threshold: float) -> None:
    """The band and the line at 1 behind each mark only: in a narrow chart they would cross the labels between marks."""
    low, high = 1 / (1 + threshold), 1 + threshold
    bands = [[(low, y - 6.5), (high, y - 6.5), (high, y + 6.5), (low, y + 6.5)] for y in marks]
    axes.add_collection(PolyCollection(bands, facecolor=BAND, linewidth=0), autolim=False)
    axes.vlines([1.0] * len(marks), [y - 6.5 for y in marks], [y + 6.5 for y in marks], color=MUTED, linewidth=1)


def _marks(axes: Axes, rows: Sequence[tuple[float, Bar]], low: float, high: float) -> None:
    """The marks of one verdict with their intervals: one path for all intervals, one for all marks."""
    if not rows:
        return
    verdict = rows[0][1].verdict
    colour, hollow = VERDICT_COLOURS[verdict], verdict == "unclear"
    intervals = [(y, bar.low, bar.high) for y, bar in rows if bar.low is not None and bar.high is not None]
    ends = [(max(least, low), min(most, high), math.nan) for _, least, most in intervals]
    axes.plot(
        list(chain.from_iterable(ends)),
        [y for y, *_ in intervals for _ in range(3)],
        color=colour,
        linewidth=1.6,
        solid_capstyle="butt",
    )
    beyond = (
        (low, "<", [y for y, least, _ in intervals if least < low]),
        (high, ">", [y for y, _, most in intervals if most > high]),
    )
    for limit, marker, rows_beyond in beyond:
        if rows_beyond:
            axes.plot(
                [limit] * len(rows_beyond),
                rows_beyond,
                color=colour,
                linestyle="none",
                marker=marker,
                markersize=5,
                clip_on=False,
            )
    axes.plot(
        [bar.ratio for _, bar in rows],
        [y for y, _ in rows],
        color=colour,
        linestyle="none",
        marker=MARKERS[verdict],
        markersize=5.5 if verdict == "same" else 6.5,
        markerfacecolor=PAPER if hollow else colour,
        markeredgewidth=1.4 if hollow else 0,
        clip_on=False,
    )
