"""Forest plots of speed-ups: a row per comparison with its interval, wide or, for a telephone, stacked.

As in ``charts``, nothing here knows of runs or files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from reports import units
from reports.canvas import new_axes, text_beside, ticks_at
from reports.lettering import fitted, text_width, wrapped
from reports.ratio_axis import axis
from reports.svg import BAND, INK, MUTED, PAPER, RULE, STYLE, VERDICT_COLOURS, to_svg

# As the symbols of verdicts in the page's text: ▲ ▼ ■ ○
MARKERS = {"faster": "^", "slower": "v", "same": "s", "unclear": "o"}
MAX_ROWS = 60  # more than these would be a wall, not a chart
ROW, LINE = 17.0, 14.0  # points: a row of its own, and one line of several
PLOT, MOST_LABEL = 320.0, 300.0
NARROW, INSET = 270.0, 14.0
GAP, FOOT = 8.0, 30.0


@dataclass(frozen=True)
class Bar:
    """One row of a forest plot: a speed-up with its interval, None where there is none."""

    group: str
    label: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str

    @property
    def interval(self) -> str:
        """The interval in words."""
        return units.ratio_interval(self.low, self.high)


@dataclass(frozen=True)
class Layout:
    """Widths in points: all of it, the column of labels (0: they stand above their marks), the one of ratios."""

    width: float
    labels: float
    ratios: float
    intervals: float

    @property
    def plot(self) -> float:
        """What is left for the marks."""
        return self.width - self.labels - self.ratios - self.intervals - (3 if self.labels else 2) * GAP


@dataclass(frozen=True)
class Row:
    """A bar or a group's name, its lines of text and where it stands: points from the top."""

    lines: list[str]
    top: float
    mark: float
    bottom: float
    bar: Bar | None


def forest(bars: Sequence[Bar], threshold: float, prefix: str, *, narrow: bool = False) -> str:
    """Speed-ups with intervals on a logarithmic axis, a row each under its group's name; returns SVG."""
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
        for row in rows:
            if not layout.labels and row.bar is not None:
                _guide(axes, row.mark, threshold)
            _draw(axes, row, layout, low, high)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
        return to_svg(figure, prefix)


def _layout(bars: Sequence[Bar], narrow: bool) -> Layout:
    ratios = max(text_width(units.ratio(bar.ratio), bold=True) for bar in bars)
    intervals = max(text_width(bar.interval) for bar in bars)
    if narrow:
        return Layout(NARROW, 0.0, ratios, intervals)
    widest = max(*(text_width(bar.label) for bar in bars), *(text_width(bar.group, bold=True) for bar in bars), 140.0)
    labels = min(widest, MOST_LABEL)
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


def _draw(axes: Axes, row: Row, layout: Layout, low: float, high: float) -> None:
    first = row.mark - LINE * (len(row.lines) - 1) / 2 if layout.labels or row.bar is None else row.top + LINE / 2
    for place, line in enumerate(row.lines):
        y = first + LINE * place
        weight, colour = ("bold", MUTED) if row.bar is None else ("normal", INK)
        shift, align = (-GAP - 4, "right") if layout.labels else (-INSET, "left")
        text_beside(axes, 0.0, y, line, shift, align, colour=colour, weight=weight)
    if row.bar is None:
        return
    _mark(axes, row.mark, row.bar, low, high)
    ratio_ends = GAP + 4 + layout.ratios
    text_beside(axes, 1.0, row.mark, units.ratio(row.bar.ratio), ratio_ends, "right", colour=INK, weight="bold")
    text_beside(axes, 1.0, row.mark, row.bar.interval, ratio_ends + GAP, "left", colour=MUTED)


def _guide(axes: Axes, y: float, threshold: float) -> None:
    """The band and the line at 1 beside a mark alone, where they would else run through the labels."""
    within = [1 / (1 + threshold), 1 + threshold]
    axes.fill_between(within, y - 6.5, y + 6.5, color=BAND, linewidth=0)
    axes.plot([1, 1], [y - 6.5, y + 6.5], color=MUTED, linewidth=1)


def _mark(axes: Axes, y: float, bar: Bar, low: float, high: float) -> None:
    colour = VERDICT_COLOURS[bar.verdict]
    if bar.low is not None and bar.high is not None:
        ends = max(bar.low, low), min(bar.high, high)
        axes.plot(ends, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
        for end, limit, marker in ((bar.low, low, "<"), (bar.high, high, ">")):
            if (end < limit) if marker == "<" else (end > limit):
                axes.plot([limit], [y], color=colour, linestyle="none", marker=marker, markersize=5, clip_on=False)
    hollow = bar.verdict == "unclear"
    axes.plot(
        [bar.ratio],
        [y],
        color=colour,
        linestyle="none",
        marker=MARKERS[bar.verdict],
        markersize=5.5 if bar.verdict == "same" else 6.5,
        markerfacecolor=PAPER if hollow else colour,
        markeredgewidth=1.4 if hollow else 0,
        clip_on=False,
    )
