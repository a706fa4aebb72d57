"""Draws series over runs, with intervals, levels, change points and new versions; and the pilots."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from torchduet.reports.charts.axes import new_axes, text_below, ticks_at
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.pilots import words_of
from torchduet.reports.charts.scaling import key_of_line, line_look
from torchduet.reports.charts.svg import INK, LINE_COLOURS, MUTED, RULE, STYLE, VERDICT_COLOURS, to_svg
from torchduet.reports.history.chart_data import Axis, Drawn
from torchduet.reports.history.judge import SPEEDUP, Change, Line
from torchduet.reports.history.series import Numbers
from torchduet.reports.history.spark import binned, levels
from torchduet.reports.html.environment import SYMBOLS
from torchduet.reports.text import units

WIDTH, HEIGHT = 660.0, 210.0
BOX = (64.0, 42.0, WIDTH - 76.0, HEIGHT - 62.0)
WITH_MARKS = 150  # runs; more are drawn as a line without marks
MAX_POINTS = 400
DATES = 6
LABEL_APART = 30.0  # points between the numbers of new versions
QUANTILES = (0.02, 0.98)  # of the runs' values, which the axis always shows
ROOM = 0.15


def series_chart(drawn: Drawn, name: str, what: str, runs: Axis, prefix: str) -> Chart:
    """One series over the runs of a machine."""
    line = drawn.line
    at = np.flatnonzero(np.isfinite(line.logs))
    low, high = _limits(line)
    unit = 1.0 if what == SPEEDUP else _unit(math.exp(high))
    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT, BOX)
        axes.set_xlim(-0.02 * len(line.logs) - 0.5, 1.02 * len(line.logs) - 0.5)
        axes.set_ylim(math.exp(low) / unit, math.exp(high) / unit)
        if len(at) <= MAX_POINTS:  # one path for all intervals: an element for each would make the page large
            x = np.repeat(at.astype(float), 3)
            y = np.stack([drawn.low[at], drawn.high[at], np.full(len(at), np.nan)], axis=1).ravel()
            axes.plot(x, np.exp(y) / unit, color=MUTED, linewidth=0.7)
        x, y = binned(at.astype(float), line.logs[at], MAX_POINTS)
        few = len(at) <= WITH_MARKS
        axes.plot(
            x,
            np.exp(y) / unit,
            color=LINE_COLOURS[0],
            linewidth=0 if few else 0.9,
            marker="o" if few else "",
            markersize=2.6,
        )
        for begin, end, level in levels(line):
            axes.plot([begin - 0.4, end + 0.4], [math.exp(level) / unit] * 2, color=INK, linewidth=1.6)
        for change in line.changes:
            _mark_change(axes, change)
        _mark_versions(axes, runs)
        _dates(axes, runs)
        ticks = [tick for tick in MaxNLocator(4).tick_values(*axes.get_ylim()) if _within(tick, axes.get_ylim())]
        ticks_at(axes.yaxis, ticks, [_tick(tick, unit, what) for tick in ticks])
        axes.grid(visible=True, axis="y", color=RULE, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
        svg = to_svg(figure, prefix)
    outside = int(((line.logs[at] < low) | (line.logs[at] > high)).sum())
    return Chart(
        svg=Markup(svg),
        title=f"{name}: {'speed-up' if what == SPEEDUP else 'time per call'}",
        alternative=_in_words(line, name, what, len(at)),
        note=f"{outside} run{'s lie' if outside != 1 else ' lies'} outside the axis." if outside else "",
    )


def pilot_chart(pilots: Mapping[str, Numbers], runs: Axis, prefix: str, machine: str) -> Chart:
    """The machine's pilots over its runs, each over its own median.

    Args:
        pilots: kind of pilot → logs by run.
        machine: its name.
    """
    finite = np.concatenate([logs[np.isfinite(logs)] for logs in pilots.values()])
    low, high = (float(limit) for limit in np.quantile(finite, (0.005, 0.995)))
    low, high = min(low, -0.05) - 0.01, max(high, 0.05) + 0.01
    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT, BOX)
        axes.set_xlim(-0.02 * len(runs) - 0.5, 1.02 * len(runs) - 0.5)
        axes.set_ylim(math.exp(low), math.exp(high))
        for index, logs in enumerate(pilots.values()):
            at = np.flatnonzero(np.isfinite(logs))
            x, y = binned(at.astype(float), logs[at], MAX_POINTS // 2)
            look = line_look(index) | {"markersize": 3 if len(x) <= 60 else 0, "linewidth": 1.1}
            axes.plot(x, np.exp(y), **look)
        _mark_versions(axes, runs)
        _dates(axes, runs)
        ticks = [tick for tick in MaxNLocator(4).tick_values(*axes.get_ylim()) if _within(tick, axes.get_ylim())]
        ticks_at(axes.yaxis, ticks, [f"{tick:.4g}×" for tick in ticks])
        axes.grid(visible=True, axis="y", color=RULE, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
        svg = to_svg(figure, prefix)
    limits = {kind: (math.exp(float(pick(logs))) for pick in (np.nanmin, np.nanmax)) for kind, logs in pilots.items()}
    ranges = "; ".join(f"{kind} from {' to '.join(map(units.ratio, ends))}" for kind, ends in limits.items())
    return Chart(
        svg=Markup(svg),
        title=f"Pilots over the runs of {machine}",
        alternative=f"Times of the pilots in {len(runs)} run{'s' * (len(runs) != 1)} "
        f"over the median of each: {ranges}.",
        keys=tuple(
            (Markup(key_of_line(index, f"{prefix}-k{index}")), words_of(kind)) for index, kind in enumerate(pilots)
        ),
    )


def _limits(line: Line) -> tuple[float, float]:
    """The limits of the axis, in logs: all levels and nearly all runs."""
    finite = line.logs[np.isfinite(line.logs)]
    shown = [*np.quantile(finite, QUANTILES).tolist(), *(level for _, _, level in levels(line))]
    room = ROOM * max(max(shown) - min(shown), 0.05)
    return min(shown) - room, max(shown) + room


def _unit(seconds: float) -> float:
    return next((scale for scale in (1.0, 1e-3, 1e-6) if seconds >= scale), 1e-9)


def _tick(value: float, unit: float, what: str) -> str:
    if what == SPEEDUP:
        return f"{value:.4g}×"
    return f"{value:.4g} {({1.0: 's', 1e-3: 'ms', 1e-6: 'µs', 1e-9: 'ns'})[unit]}"


def _within(tick: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= tick <= limits[1]


def _mark_change(axes: Axes, change: Change) -> None:
    """A vertical line at the change, with the symbol of its verdict above, or the word for a change of the machine."""
    colour = VERDICT_COLOURS.get(change.verdict, MUTED)
    axes.axvline(change.after - 0.5, color=colour, linewidth=1.2, dashes=(4, 2))
    _on_top(axes, change.after - 0.5, SYMBOLS.get(change.verdict, "machine"), colour, 3)


def _mark_versions(axes: Axes, runs: Axis) -> None:
    """A dotted line at every run with a new version, numbered as in the page's table where there is room."""
    per_run = BOX[2] / (1.04 * len(runs))
    last = -math.inf
    for number, run in enumerate(runs.versions, start=1):
        axes.axvline(run - 0.5, color=MUTED, linewidth=0.9, linestyle=":")
        if (run - last) * per_run >= LABEL_APART:
            _on_top(axes, run - 0.5, f"v{number}", MUTED, 14)
            last = run


def _on_top(axes: Axes, x: float, text: str, colour: str, points: float) -> None:
    axes.annotate(
        text,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, points),
        textcoords="offset points",
        ha="center",
        color=colour,
        fontsize=9,
        annotation_clip=False,
        parse_math=False,
    )


def _dates(axes: Axes, runs: Axis) -> None:
    ticks = sorted({round(position) for position in np.linspace(0, len(runs) - 1, min(DATES, len(runs)))})
    ticks_at(axes.xaxis, ticks, [runs.days[run] or f"run {run + 1}" for run in ticks])
    text_below(axes, "runs in the order of time")


def _in_words(line: Line, name: str, what: str, runs: int) -> str:
    values = [
        units.ratio(math.exp(level)) if what == SPEEDUP else units.seconds(math.exp(level))
        for *_, level in levels(line)
    ]
    word = "Speed-up" if what == SPEEDUP else "Time per call"
    return f"{word} of {name} over {runs} run{'s' * (runs != 1)}: {', then '.join(values)}."
