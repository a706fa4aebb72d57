"""Draws a series as wide as a word: inline SVG of a few hundred bytes, in the colours of the text around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from torchduet.reports.history.judge import Line
from torchduet.reports.history.series import Numbers, median_of

WIDTH, HEIGHT, MARGIN = 110.0, 22.0, 2.0
MAX_POINTS = 90
MIN_SPAN = 0.10  # of the logs: a series that moves by less than a tenth looks flat


def sparkline(line: Line) -> Markup:
    """The runs as a thin line, its levels as a thick one, a dot at the latest run; nothing without a run."""
    at = np.flatnonzero(np.isfinite(line.logs))
    if not len(at):
        return Markup("")
    runs = max(len(line.logs) - 1, 1)
    x, y = binned(at.astype(float), line.logs[at])
    low, high = _span(line.logs[at])

    def place(run: float, value: float) -> str:
        across = MARGIN + (WIDTH - 2 * MARGIN) * run / runs
        up = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (min(max(value, low), high) - low) / (high - low)
        return f"{across:.0f},{up:.1f}".replace(".0", "")

    values = "M" + "L".join(place(*point) for point in zip(x.tolist(), y.tolist(), strict=True))
    steps = "".join(f"M{place(begin, level)}L{place(end, level)}" for begin, end, level in levels(line))
    across, up = place(float(at[-1]), float(line.logs[at[-1]])).split(",")
    return Markup(
        f'<svg class="spark" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" aria-hidden="true">'
        f'<path d="{values}"/><path class="level" d="{steps}"/><circle cx="{across}" cy="{up}" r="2"/></svg>'
    )


def levels(line: Line) -> list[tuple[float, float, float]]:
    """Every level of a series: (its first run, its last, the median of its logs)."""
    at = np.flatnonzero(np.isfinite(line.logs))
    cuts = [one.after for one in line.changes]
    pieces: Sequence[Numbers] = np.split(at, np.searchsorted(at, cuts))
    return [(float(one[0]), float(one[-1]), float(np.median(line.logs[one]))) for one in pieces if len(one)]


def binned(x: Numbers, y: Numbers, most: int = MAX_POINTS) -> tuple[Numbers, Numbers]:
    """At most so many points: each the median of neighbours."""
    if len(x) <= most:
        return x, y
    each = -(-len(x) // most)
    room = np.full(-len(x) % each, np.nan)
    by_bin = (np.append(values, room).reshape(-1, each) for values in (x, y))
    across, up = (median_of(one, axis=1) for one in by_bin)
    return across, up


def _span(logs: Numbers) -> tuple[float, float]:
    """From where to where it is drawn: all but the outermost fiftieth on either side."""
    low, high = (float(one) for one in np.quantile(logs, (0.02, 0.98)))
    room = max(MIN_SPAN - (high - low), 0.0) / 2
    return low - room, high + room
