"""Draws the pilots of a machine over its runs, with new versions."""

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
from torchduet.reports.charts.svg import MUTED, RULE, STYLE, to_svg
from torchduet.reports.history.chart_data import Axis
from torchduet.reports.history.series import Numbers
from torchduet.reports.history.spark import binned
from torchduet.reports.text import units

WIDTH, HEIGHT = 660.0, 210.0
BOX = (64.0, 42.0, WIDTH - 76.0, HEIGHT - 62.0)
WITH_MARKS = 150  # runs; more are drawn as a line without marks
MAX_POINTS = 400
DATES = 6
LABEL_APART = 30.0  # points between the numbers of new versions
QUANTILES = (0.02, 0.98)  # of the runs' values, which the axis always shows
ROOM = 0.15


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


def _within(tick: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= tick <= limits[1]


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
    ticks_at(axes.xaxis, ticks, [runs.moments[run] or f"run {run + 1}" for run in ticks])
    text_below(axes, f"runs of {runs.day} in the order of time (UTC)" if runs.day else "runs in the order of time")
