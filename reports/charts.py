"""Forest plots of speed-ups and scaling curves, as SVG that stands within the page.

Figures are drawn without pyplot and know nothing of runs or files; how one becomes part of the page
is left to ``svg``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, NullLocator

from reports import units
from reports.canvas import decades, key_of, label, new_axes, round_time, text_below, text_beside, ticks_at
from reports.svg import BAND, INK, LINE_COLOURS, MUTED, PAPER, RULE, STYLE, VERDICT_COLOURS, to_svg

MARKERS = {"faster": "^", "slower": "v", "same": "s", "unclear": "o"}
LINE_MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_STYLES = ("-", "--", "-.", ":")

ROW_POINTS = 17.0
WIDTH_POINTS = 660.0
LABEL_POINTS = 250.0
MAX_ROWS = 60  # more than these would be a wall, not a chart
RATIO_TICKS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1),
    *(1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500, 1000),
)


@dataclass(frozen=True)
class Bar:
    """One row of a forest plot: a speed-up with its interval, None where there is none."""

    group: str
    label: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class Curve:
    """One line of a scaling chart: (size, seconds per call) in ascending order of size."""

    label: str
    points: tuple[tuple[float, float], ...]


def forest(bars: Sequence[Bar], threshold: float, prefix: str) -> str:
    """Speed-ups with intervals on a logarithmic axis, a row each under its group's name; returns SVG."""
    rows: list[Bar | str] = []
    for group, members in itertools.groupby(bars, key=lambda bar: bar.group):
        rows += [group, *members]
    height = ROW_POINTS * (len(rows) + 0.5)
    with rc_context(STYLE):
        figure, axes = new_axes(
            WIDTH_POINTS, height + 30, (LABEL_POINTS, 30, WIDTH_POINTS - LABEL_POINTS - 125, height)
        )
        low, high = _range(bars)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.25, -0.75)
        axes.axvspan(1 / (1 + threshold), 1 + threshold, color=BAND, linewidth=0)
        axes.axvline(1, color=MUTED, linewidth=1)
        ticks = _thinned([tick for tick in RATIO_TICKS if low <= tick <= high], low, high)
        ticks_at(axes.xaxis, ticks, [f"{tick:g}×" for tick in ticks])
        axes.yaxis.set_major_locator(NullLocator())
        for place, row in enumerate(rows):
            if isinstance(row, str):
                text_beside(axes, 0.0, place, label(row), -6, "right", colour=MUTED, weight="bold")
                continue
            _forest_row(axes, place, row, low, high)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
        return to_svg(figure, prefix)


def scaling(curves: Sequence[Curve], axis: str, prefix: str) -> str:
    """Time per call over size, both logarithmic, a line each; returns SVG."""
    with rc_context(STYLE):
        figure, axes = new_axes(300, 205, (52, 38, 238, 162))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for place, curve in enumerate(curves):
            axes.plot(
                [size for size, _ in curve.points],
                [seconds for _, seconds in curve.points],
                **_line(place),
            )
        sizes = sorted({size for curve in curves for size, _ in curve.points})
        ticks_at(axes.xaxis, sizes[:: math.ceil(len(sizes) / 6)], None)
        bottom, top = axes.get_ylim()
        ticks_at(axes.yaxis, decades(bottom, top), None)
        axes.xaxis.set_major_formatter(
            FixedFormatter([f"{tick:,g}" if tick < 1e6 else f"{tick / 1e6:.3g}M" for tick in axes.get_xticks()])
        )
        axes.yaxis.set_major_formatter(FixedFormatter([round_time(tick) for tick in axes.get_yticks()]))
        text_below(axes, axis)
        axes.grid(visible=True, color=RULE, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return to_svg(figure, prefix)


def key_of_line(place: int, prefix: str) -> str:
    """The short piece of a scaling chart's line that stands before its name in the legend; SVG."""
    return _drawn_key(place % math.lcm(len(LINE_COLOURS), len(LINE_STYLES))).replace("any-chart-", f"{prefix}-")


@lru_cache(maxsize=32)
def _drawn_key(place: int) -> str:
    look = _line(place)
    return key_of(look["color"], look["marker"], look["linestyle"], "any-chart")


def _line(place: int) -> dict[str, Any]:
    """How the line at a place looks: told apart by colour, marker and dashes alike."""
    return {
        "color": LINE_COLOURS[place % len(LINE_COLOURS)],
        "marker": LINE_MARKERS[place % len(LINE_MARKERS)],
        "linestyle": LINE_STYLES[place % len(LINE_STYLES)],
        "markersize": 5,
        "linewidth": 1.5,
    }


def _forest_row(axes: Axes, place: int, bar: Bar, low: float, high: float) -> None:
    colour = VERDICT_COLOURS[bar.verdict]
    if bar.low is not None and bar.high is not None:
        ends = max(bar.low, low), min(bar.high, high)
        axes.plot(ends, (place, place), color=colour, linewidth=1.6, solid_capstyle="butt")
        for end, limit, marker in ((bar.low, low, "<"), (bar.high, high, ">")):
            if (end < limit) if marker == "<" else (end > limit):
                axes.plot([limit], [place], color=colour, marker=marker, markersize=5, clip_on=False)
    hollow = bar.verdict in ("same", "unclear")
    axes.plot(
        [bar.ratio],
        [place],
        color=colour,
        marker=MARKERS[bar.verdict],
        markersize=6.5,
        markerfacecolor=PAPER if hollow else colour,
        markeredgewidth=1.4 if hollow else 0,
    )
    text_beside(axes, 0.0, place, label(bar.label), -6, "right", colour=INK)
    interval = units.ratio_interval(bar.low, bar.high)
    text_beside(axes, 1.0, place, units.ratio(bar.ratio), 42, "right", colour=INK, weight="bold")
    text_beside(axes, 1.0, place, interval, 48, "left", colour=MUTED)


def _range(bars: Sequence[Bar]) -> tuple[float, float]:
    """The axis: every point, and its interval as far as twice the points' own reach; never less than ±5 %."""
    least, most = min(bar.ratio for bar in bars), max(bar.ratio for bar in bars)
    low = min(0.95, *(max(bar.low or least, least / 2) for bar in bars), least)
    high = max(1.05, *(min(bar.high or most, most * 2) for bar in bars), most)
    margin = (high / low) ** 0.04
    return low / margin, high * margin


def _thinned(ticks: list[float], low: float, high: float) -> list[float]:
    """Ticks with room for their labels: 1 first, then outwards, none nearer than a tenth of the axis."""
    room = math.log(high / low) / 9
    kept: list[float] = []
    for tick in sorted(ticks, key=lambda one: (one != 1, abs(math.log(one)))):
        if all(abs(math.log(tick / other)) >= room for other in kept):
            kept.append(tick)
    return sorted(kept)
