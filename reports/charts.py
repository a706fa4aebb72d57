"""The charts: forest plots of speed-ups and scaling curves, as SVG that stands within the page.

Figures are drawn without pyplot and know nothing of runs or files; how one becomes part of the page
is left to ``svg``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from reports import units
from reports.svg import BAND, INK, LINE_COLOURS, MUTED, PAPER, RULE, STYLE, VERDICT_COLOURS, to_svg

MARKERS = {"faster": "^", "slower": "v", "same": "s", "unclear": "o"}
LINE_MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_STYLES = ("-", "--", "-.", ":")

ROW_POINTS = 17.0
WIDTH_POINTS = 660.0
LABEL_POINTS = 250.0
LABEL_LETTERS = 42
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
        figure, axes = _figure(WIDTH_POINTS, height + 30, (LABEL_POINTS, 30, WIDTH_POINTS - LABEL_POINTS - 125, height))
        low, high = _range(bars)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.25, -0.75)
        axes.axvspan(1 / (1 + threshold), 1 + threshold, color=BAND, linewidth=0)
        axes.axvline(1, color=MUTED, linewidth=1)
        ticks = _thinned([tick for tick in RATIO_TICKS if low <= tick <= high], low, high)
        _ticks(axes.xaxis, ticks, [f"{tick:g}×" for tick in ticks])
        axes.yaxis.set_major_locator(NullLocator())
        for place, row in enumerate(rows):
            if isinstance(row, str):
                _text(axes, 0.0, place, _label(row), -6, "right", colour=MUTED, weight="bold")
                continue
            _forest_row(axes, place, row, low, high)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
        return to_svg(figure, prefix)


def scaling(curves: Sequence[Curve], axis: str, prefix: str) -> str:
    """Time per call over size, both logarithmic, a line each; returns SVG."""
    with rc_context(STYLE):
        figure, axes = _figure(300, 205, (52, 38, 238, 162))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for place, curve in enumerate(curves):
            axes.plot(
                [size for size, _ in curve.points],
                [seconds for _, seconds in curve.points],
                **_line(place),
            )
        sizes = sorted({size for curve in curves for size, _ in curve.points})
        _ticks(axes.xaxis, sizes[:: math.ceil(len(sizes) / 6)], None)
        bottom, top = axes.get_ylim()
        _ticks(axes.yaxis, _decades(bottom, top), None)
        axes.xaxis.set_major_formatter(
            FixedFormatter([f"{tick:,g}" if tick < 1e6 else f"{tick / 1e6:.3g}M" for tick in axes.get_xticks()])
        )
        axes.yaxis.set_major_formatter(FixedFormatter([_round(tick) for tick in axes.get_yticks()]))
        _text_below(axes, axis)
        axes.grid(visible=True, color=RULE, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return to_svg(figure, prefix)


def key_of_line(place: int, prefix: str) -> str:
    """The short piece of a scaling chart's line that stands before its name in the legend; SVG."""
    return _drawn_key(place % math.lcm(len(LINE_COLOURS), len(LINE_STYLES))).replace("any-chart-", f"{prefix}-")


@lru_cache(maxsize=32)
def _drawn_key(place: int) -> str:
    with rc_context(STYLE):
        figure, axes = _figure(34, 12, (0, 0, 34, 12))
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.plot([0.03, 0.5, 0.97], [0.5] * 3, markevery=[1], **_line(place))
        return to_svg(figure, "any-chart")


def _line(place: int) -> dict[str, Any]:
    """How the line at a place looks: told apart by colour, marker and dashes alike."""
    return {
        "color": LINE_COLOURS[place % len(LINE_COLOURS)],
        "marker": LINE_MARKERS[place % len(LINE_MARKERS)],
        "linestyle": LINE_STYLES[place % len(LINE_STYLES)],
        "markersize": 5,
        "linewidth": 1.5,
    }


def _figure(width: float, height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A transparent figure with one pair of axes; all in points (1/72 inch), ``box`` as left, bottom, width, height."""
    figure = Figure(figsize=(width / 72, height / 72))
    figure.patch.set_visible(False)
    left, bottom, across, up = box
    axes = figure.add_axes((left / width, bottom / height, across / width, up / height))
    axes.patch.set_visible(False)
    return figure, axes


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
    _text(axes, 0.0, place, _label(bar.label), -6, "right", colour=INK)
    interval = units.ratio_interval(bar.low, bar.high)
    _text(axes, 1.0, place, units.ratio(bar.ratio), 42, "right", colour=INK, weight="bold")
    _text(axes, 1.0, place, interval, 48, "left", colour=MUTED)


def _text(
    axes: Axes, x: float, y: float, text: str, shift: float, align: str, *, colour: str, weight: str = "normal"
) -> None:
    """Text beside a row: ``x`` in the axes' width plus ``shift`` points; names are never read as formulae."""
    axes.annotate(
        text,
        (x, y),
        xycoords=("axes fraction", "data"),
        xytext=(shift, 0),
        textcoords="offset points",
        ha=align,
        va="center_baseline",
        color=colour,
        fontweight=weight,
        annotation_clip=False,
        parse_math=False,
    )


def _text_below(axes: Axes, text: str) -> None:
    axes.annotate(
        _label(text),
        (0.5, 0),
        xycoords="axes fraction",
        xytext=(0, -34),
        textcoords="offset points",
        ha="center",
        color=MUTED,
        annotation_clip=False,
        parse_math=False,
    )


def _label(text: str) -> str:
    """One line of bounded length, the end kept, because that is where names differ."""
    text = re.sub(r"[\x00-\x1f\x7f\s]+", " ", text).strip()
    if len(text) <= LABEL_LETTERS:
        return text
    kept = LABEL_LETTERS - 1
    return text[: kept // 3] + "…" + text[-(kept - kept // 3) :]


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


def _round(seconds: float) -> str:
    """A round time without the zeros that a measured one would keep: ``1 ms``."""
    number, unit = units.seconds(seconds).split(" ")
    return f"{float(number.replace(',', '')):g} {unit}"


def _decades(bottom: float, top: float) -> list[float]:
    """Round values between two limits: powers of ten, with 2 and 5 where there are few."""
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [step * 10.0**power for power in powers for step in steps if bottom <= step * 10.0**power <= top]
        if len(found) >= 3:
            break
    return found


def _ticks(axis: Any, places: Sequence[float], labels: Sequence[str] | None) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    if labels is not None:
        axis.set_major_formatter(FixedFormatter(labels))
    axis.set_tick_params(color=RULE, labelcolor=MUTED, length=3, labelsize=10)
