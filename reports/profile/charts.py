"""Draws the memory that one profiled call holds over its time."""

from __future__ import annotations

import math

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from torchduet.reports.charts.axes import new_axes, text_below, ticks_at
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.svg import INK, LINE_COLOURS, MUTED, RULE, STYLE, to_svg
from torchduet.reports.profile.memory import Memory
from torchduet.reports.text import units

WIDTH, HEIGHT = 320.0, 190.0  # fits a telephone, and a column of three
MAX_POINTS = 400


def memory_chart(held: Memory, prefix: str) -> Chart:
    """Bytes held beyond those held before the call, as a line of steps.

    Both axes start at 0; that of bytes below it where the call releases what was held before, and the note says so.
    """
    points = thinned(held.points)
    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT, (74, 44, WIDTH - 92, HEIGHT - 60))
        end = max(points[-1][0], 1e-9)
        times = [0.0, *(at for at, _ in points)]
        sizes = [0, *(size for _, size in points)]
        axes.step(times, sizes, where="post", color=LINE_COLOURS[0], linewidth=1.4)
        axes.plot([held.at], [held.peak], marker="v", color=INK, markersize=6, linestyle="none", clip_on=False)
        axes.lines[0].set_clip_on(False)  # at 0 it lies on the frame
        low, high = min(0, *sizes), max(1, held.peak)
        axes.set_xlim(0, end)
        axes.set_ylim(low * 1.08, high * 1.08)
        axes.axhline(0, color=RULE, linewidth=0.8, zorder=1)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(RULE)
        step = 2 ** math.ceil(math.log2(max((high - low) / 4, 1)))
        ticks = [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
        ticks_at(axes.yaxis, ticks, [f"−{units.size(-tick)}" if tick < 0 else units.size(tick) for tick in ticks])
        moments = [tick for tick in MaxNLocator(3).tick_values(0, end) if 0 <= tick <= end]
        ticks_at(axes.xaxis, moments, [units.seconds(tick) if tick else "0" for tick in moments])
        axes.tick_params(labelcolor=MUTED)
        text_below(axes, "time within a call, from 0")
        svg = to_svg(figure, prefix)
    return Chart(
        svg=Markup(svg),
        title="Memory within a call",
        alternative=f"Memory held beyond that before the call, over its {units.seconds(end)}: the peak of "
        f"{units.size(held.peak)} is reached after {units.seconds(held.at)}."
        + (f" It falls to {units.size(-low)} below what was held before." if low < 0 else ""),
        note=f"Below 0: up to {units.size(-low)} that were held before the call are released in it."
        if low < 0
        else "Both axes start at 0.",
    )


def thinned(points: tuple[tuple[float, int], ...]) -> list[tuple[float, int]]:
    """At most ``MAX_POINTS`` points: of each stretch, the lowest and the highest."""
    if len(points) <= MAX_POINTS:
        return list(points)
    size = 2 * len(points) / MAX_POINTS
    drawn: list[tuple[float, int]] = []
    for index in range(MAX_POINTS // 2):
        stretch = points[round(index * size) : round((index + 1) * size)]
        if stretch:
            drawn += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return drawn
