"""Draws a series as a sparkline: inline SVG of a few hundred bytes, in the colours of the text around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from torchduet.reports.history.judged import Line
from torchduet.reports.history.series import Numbers, median_of

WIDTH, HEIGHT, MARGIN = 110.0, 22.0, 2.0
MAX_POINTS = 90
MIN_SPAN = 0.10  # least span of the logs, so that a series that varies by less than a tenth looks flat


def sparkline(line: Line) -> Markup:
    """The runs as a thin line, the levels as a thick one, a dot at the latest run; empty without a run."""
    at = np.flatnonzero(np.isfinite(line.logs))
    if not len(at):
        return Markup("")
    runs = max(len(line.logs) - 1, 1)
    x, y = binned(at.astype(float), line.logs[at])
    low, high = _span(line.logs[at])

    def point(run: float, value: float) -> str:
        across = MARGIN + (WIDTH - 2 * MARGIN) * run / runs
        up = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (min(max(value, low), high) - low) / (high - low)
        return f"{across:.0f},{up:.1f}".replace(".0", "")

    values = "M" + "L".join(point(run, value) for run, value in zip(x.tolist(), y.tolist(), strict=True))
    steps = "".join(f"M{point(begin, level)}L{point(end, level)}" for begin, end, level in levels(line))
    across, up = point(float(at[-1]), float(line.logs[at[-1]])).split(",")
    return Markup(
        f'<svg class="spark" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" aria-hidden="true">'
        f'<path d="{values}"/><path class="level" d="{steps}"/><circle cx="{across}" cy="{up}" r="2"/></svg>'
    )


def levels(line: Line) -> list[tuple[float, float, float]]:
    """Every level of a series: (its first run, its last, the median of its logs)."""
    at = np.flatnonzero(np.isfinite(line.logs))
    cuts = [change.after for change in (*line.changes, *filter(None, [line.suspicion]))]
    pieces: Sequence[Numbers] = np.split(at, np.searchsorted(at, cuts))
    return [(float(runs[0]), float(runs[-1]), float(np.median(line.logs[runs]))) for runs in pieces if len(runs)]


def binned(x: Numbers, y: Numbers, most: int = MAX_POINTS) -> tuple[Numbers, Numbers]:
    """At most so many points, each the median of neighbours."""
    if len(x) <= most:
        return x, y
    size = -(-len(x) // most)
    padding = np.full(-len(x) % size, np.nan)
    bins = (np.append(values, padding).reshape(-1, size) for values in (x, y))
    across, up = (median_of(values, axis=1) for values in bins)
    return across, up


def _span(logs: Numbers) -> tuple[float, float]:
    """The limits of the drawing: without the outermost fiftieth on either side."""
    low, high = (float(limit) for limit in np.quantile(logs, (0.02, 0.98)))
    room = max(MIN_SPAN - (high - low), 0.0) / 2
    return low - room, high + room
