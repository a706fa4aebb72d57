"""Draws what several processes give: efficiency over ranks, and the bus bandwidth of collectives over sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter

from torchduet.reports.charts.axes import decades, new_axes, text_below, ticks_at
from torchduet.reports.charts.scaling import line_look
from torchduet.reports.charts.svg import INK, RULE, STYLE, to_svg
from torchduet.reports.text import units

TOP = 1.08  # of the efficiency's axis, unless a case has more
MAX_TOP = 2.0
MAX_TICKS = 6
SPREAD = 5.0  # points between the intervals of neighbouring lines, which would cover each other


@dataclass(frozen=True)
class Figure:
    """A point with its interval: (x, value, low, high); None: no interval."""

    x: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class IntervalLine:
    """A line of points with intervals, in ascending order of x."""

    label: str
    points: tuple[Figure, ...]


def efficiency(lines: Sequence[IntervalLine], prefix: str) -> str:
    """Efficiency (1 is ideal) over the number of ranks, the ideal dashed; returns SVG."""
    with rc_context(STYLE):
        figure, axes = new_axes(300, 215, (44, 38, 246, 170))
        ranks = sorted({point.x for line in lines for point in line.points})
        axes.set_xscale("log", base=2)
        room = 2 ** max(0.18, 0.07 * math.log2(ranks[-1] / ranks[0]))
        axes.set_xlim(ranks[0] / room, ranks[-1] * room)
        highest = max(_end(point.high, point.value) for line in lines for point in line.points)
        axes.set_ylim(0, min(MAX_TOP, max(TOP, 1.04 * highest)))
        axes.axhline(1.0, color=INK, linewidth=1.2, linestyle="--")
        _draw(axes, lines)
        shown = ranks[:: math.ceil(len(ranks) / MAX_TICKS)]
        ticks_at(axes.xaxis, shown, [f"{number:g}" for number in shown])
        top = axes.get_ylim()[1]
        step = 0.25 if top <= 1.3 else 0.5
        levels = [step * number for number in range(int(top / step + 1e-9) + 1)]
        ticks_at(axes.yaxis, levels, [f"{level:.0%}".replace("%", " %") for level in levels])
        text_below(axes, "ranks")
        _finish(axes)
        return to_svg(figure, prefix)


def bandwidth(lines: Sequence[IntervalLine], prefix: str) -> str:
    """Bytes per second over the bytes of a message, both logarithmic; returns SVG."""
    with rc_context(STYLE):
        figure, axes = new_axes(300, 215, (70, 38, 220, 170))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        sizes = sorted({point.x for line in lines for point in line.points})
        axes.set_xlim(sizes[0] / 1.6, sizes[-1] * 1.6)
        rates = [point.value for line in lines for point in line.points]
        axes.set_ylim(
            max(min(rates) / 10, min(_end(point.low, point.value) for line in lines for point in line.points) / 1.2),
            min(max(rates) * 10, max(_end(point.high, point.value) for line in lines for point in line.points) * 1.2),
        )
        _draw(axes, lines)
        shown = sizes[:: math.ceil(len(sizes) / 4)]
        ticks_at(axes.xaxis, shown, [units.size(size).replace(".00 ", " ").replace(".0 ", " ") for size in shown])
        ticks_at(axes.yaxis, levels := decades(*axes.get_ylim()), None)
        axes.yaxis.set_major_formatter(FixedFormatter([_rate(level) for level in levels]))
        text_below(axes, "size of the message")
        _finish(axes)
        return to_svg(figure, prefix)


def _draw(axes: Axes, lines: Sequence[IntervalLine]) -> None:
    """Lines with their intervals; those of several lines at one x stand side by side."""
    box = axes.get_position()
    across = box.width * axes.figure.bbox.width / axes.figure.dpi * 72  # points
    left, right = (math.log(end) for end in axes.get_xlim())
    bottom, top = axes.get_ylim()
    for index, line in enumerate(lines):
        look = line_look(index)
        shift = math.exp((index - (len(lines) - 1) / 2) * SPREAD / across * (right - left))
        for point in line.points:
            if point.low is not None and point.high is not None and point.low < point.high:
                ends = [min(top, max(bottom, end)) for end in (point.low, point.high)]
                axes.plot([point.x * shift] * 2, ends, color=look["color"], linewidth=1.4, alpha=0.75)
        axes.plot(
            [point.x * (1.0 if point.low == point.high else shift) for point in line.points],
            [point.value for point in line.points],
            **look,
        )


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _end(end: float | None, value: float) -> float:
    return value if end is None else end


def _rate(value: float) -> str:
    number, unit = units.rate(value, "B/s").split(" ")
    return f"{float(number.replace(',', '')):g} {unit}"
