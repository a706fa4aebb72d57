"""Draws bars of time: an epoch by its number of DataLoader workers, and the steps of a path as a waterfall.

As in all of ``charts``, the input is numbers and labels, not runs or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, MaxNLocator, NullLocator

from torchduet.reports.charts.axes import new_axes, place, round_time, text_below, text_beside, ticks_at
from torchduet.reports.charts.label_fit import fitted, text_width
from torchduet.reports.charts.model import Drawn
from torchduet.reports.charts.svg import BAND, INK, LINE_COLOURS, MUTED, RULE, STYLE, VERDICT_COLOURS, to_svg
from torchduet.reports.text import units

ROW_POINTS = 24.0
PLOT_POINTS = 325.0
MAX_LABEL_POINTS = 250.0
FOOT, REST = LINE_COLOURS[3], LINE_COLOURS[0]


@dataclass(frozen=True)
class Column:
    """One bar: its name, its time with an interval, and its foot (a part of it), all in seconds."""

    label: str
    seconds: float
    low: float | None
    high: float | None
    foot: float | None = None


@dataclass(frozen=True)
class Step:
    """A row of a waterfall: a bar from the time of the step before to its own; a step on its own starts at 0."""

    label: str
    before: float
    seconds: float
    verdict: str  # against the step before; empty for a step on its own
    caption: str  # at the right of the row


def columns(bars: Sequence[Column], axis: str, prefix: str) -> Drawn:
    """Upright bars from zero with intervals; the places are the bars' upper ends."""
    with rc_context(STYLE):
        figure, axes = new_axes(300, 205, (56, 38, 234, 155))
        positions = range(len(bars))
        axes.bar(positions, [bar.seconds for bar in bars], color=REST, width=0.62, linewidth=0)
        axes.bar(positions, [min(bar.foot or 0.0, bar.seconds) for bar in bars], color=FOOT, width=0.62, linewidth=0)
        for position, bar in enumerate(bars):
            if bar.low is not None and bar.high is not None:
                axes.plot([position, position], [bar.low, bar.high], color=INK, linewidth=1.6, solid_capstyle="butt")
        tallest = max(bar.seconds for bar in bars)
        axes.set_ylim(0, 1.08 * max(tallest, *(min(bar.high or 0.0, 1.3 * tallest) for bar in bars)))
        ticks_at(axes.xaxis, list(positions), [fitted(bar.label, 40) for bar in bars])
        _time_ticks(axes, axes.yaxis, axes.get_ylim()[1])
        text_below(axes, axis)
        axes.grid(visible=True, axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)
        places = tuple(place(axes, position, bar.seconds) for position, bar in enumerate(bars))
        return Drawn(to_svg(figure, prefix), places)


def waterfall(steps: Sequence[Step], prefix: str) -> str:
    """Horizontal bars, one per step, from the time before to the time after; returns SVG."""
    height = ROW_POINTS * len(steps)
    labels = min(MAX_LABEL_POINTS, max(text_width(step.label) for step in steps)) + 14
    captions = max(text_width(step.caption) for step in steps) + 14
    with rc_context(STYLE):
        figure, axes = new_axes(labels + PLOT_POINTS + captions, height + 30, (labels, 30, PLOT_POINTS, height))
        axes.set_xlim(0, max(max(step.before, step.seconds) for step in steps) * 1.02)
        axes.set_ylim(len(steps) - 0.5, -0.5)
        for row, step in enumerate(steps):
            _bar(axes, row, step)
            if row + 1 < len(steps) and steps[row + 1].verdict:
                axes.plot([step.seconds] * 2, [row - 0.3, row + 1.3], color=MUTED, linewidth=0.8, linestyle=":")
        _time_ticks(axes, axes.xaxis, axes.get_xlim()[1])
        axes.yaxis.set_major_locator(NullLocator())
        axes.grid(visible=True, axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return to_svg(figure, prefix)


def _bar(axes: Axes, row: int, step: Step) -> None:
    if step.verdict:
        colour = VERDICT_COLOURS[step.verdict]
        left, right = sorted((step.before, step.seconds))
        axes.barh([row], [right - left], left=[left], height=0.6, color=colour, linewidth=0)
        # A line at the step's end, so that a step too short to see is marked.
        axes.plot([step.seconds] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2, solid_capstyle="butt")
    else:
        axes.barh([row], [step.seconds], height=0.6, color=BAND, edgecolor=MUTED, linewidth=0.8)
    text_beside(axes, 0.0, row, fitted(step.label, MAX_LABEL_POINTS), -6, "right", colour=INK)
    text_beside(axes, 1.0, row, step.caption, 8, "left", colour=INK)


def _time_ticks(axes: Axes, axis: object, top: float) -> None:
    """Round ticks from zero up, in seconds or a smaller unit."""
    ticks = [tick for tick in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top) if 0 <= tick <= top]
    ticks_at(axis, ticks, None)
    formatter = FixedFormatter([round_time(tick) if tick else "0" for tick in ticks])
    (axes.yaxis if axis is axes.yaxis else axes.xaxis).set_major_formatter(formatter)


def in_words(bar: Column) -> str:
    """A bar in words: ``2: 0.81 s (0.80 to 0.83 s)``."""
    interval = units.seconds_interval(bar.low, bar.high)
    foot = f", {units.seconds(bar.foot)} of it until the first batch" if bar.foot is not None else ""
    return f"{bar.label}: {units.seconds(bar.seconds)}{f' ({interval})' if interval else ''}{foot}"
