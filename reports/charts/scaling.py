"""Draws scaling curves: time per call over size, a line per variant.

Figures are drawn without pyplot; ``svg`` turns one into a part of the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib import rc_context
from matplotlib.ticker import FixedFormatter

from torchduet.reports.charts.axes import decades, key_of, new_axes, place, round_time, text_below, ticks_at
from torchduet.reports.charts.model import Drawn
from torchduet.reports.charts.svg import LINE_COLOURS, RULE, STYLE, to_svg

LINE_MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Curve:
    """One line of a scaling chart: (size, seconds per call) in ascending order of size."""

    label: str
    points: tuple[tuple[float, float], ...]


def scaling(curves: Sequence[Curve], axis: str, prefix: str) -> Drawn:
    """Time per call over size, both logarithmic, one line per curve; the places are those of all points, in order."""
    with rc_context(STYLE):
        figure, axes = new_axes(300, 205, (52, 38, 238, 162))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for index, curve in enumerate(curves):
            axes.plot(
                [size for size, _ in curve.points],
                [seconds for _, seconds in curve.points],
                **line_look(index),
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
        places = tuple(place(axes, size, seconds) for curve in curves for size, seconds in curve.points)
        return Drawn(to_svg(figure, prefix), places)


def key_of_line(index: int, prefix: str) -> str:
    """A legend's sample of the line with that index, to stand before its name; SVG."""
    return _drawn_key(index % math.lcm(len(LINE_COLOURS), len(LINE_STYLES))).replace("any-chart-", f"{prefix}-")


@lru_cache(maxsize=32)
def _drawn_key(index: int) -> str:
    look = line_look(index)
    return key_of(look["color"], look["marker"], look["linestyle"], "any-chart")


def line_look(index: int) -> dict[str, Any]:
    """The look of the line with that index: lines differ in colour, marker and dashes alike."""
    return {
        "color": LINE_COLOURS[index % len(LINE_COLOURS)],
        "marker": LINE_MARKERS[index % len(LINE_MARKERS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        "markersize": 5,
        "linewidth": 1.5,
    }
