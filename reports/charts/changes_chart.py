"""The chart of a comparison or a duet: a row per case with both times, its mark on an axis, and its change in words.

It is a table, read as one by assistive technology, and its marks are placed by the style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.reports.charts.marked import Marked, marked, share
from torchduet.reports.charts.model import Bar
from torchduet.reports.charts.ratio_axis import ROUND, axis
from torchduet.reports.text import units

POINTS = 300.0  # that the axis is assumed to be wide: how many ticks there is room for
SHOWN = 6  # rows on the first screen; the others are folded


@dataclass(frozen=True)
class ChangeRow:
    """One case.

    Attributes:
        name, id: what distinguishes it from the others, and its whole id.
        opens: ``run:case``, which the page's script opens in a dialog; empty where ``anchor`` leads to it.
        base, new: times per call in words.
        words: its change, or why there is no verdict and what to do.
        marks: what its figures depend on.
    """

    name: str
    id: str
    base: str
    new: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str
    words: str
    opens: str = ""
    anchor: str = ""
    marks: str = ""

    @property
    def tip(self) -> str:
        """``layers.net[n=256] cpu eager fp32: 168 µs, then 302 µs; 0.54× (0.53 to 0.55), slower``."""
        interval = units.ratio_interval(self.low, self.high) or "no interval"
        return f"{self.id}: {self.base}, then {self.new}; {units.ratio(self.ratio)} ({interval}), {self.verdict}"


@dataclass(frozen=True)
class ChangesChart:
    """The rows with their marks, and the axis.

    Attributes:
        low, high: the ends of the axis.
        ticks: (position in per cent, label).
        one: where 1× is; ``band``: where the changes that are too small to matter lie.
        rounds: all ratios that may be ticks, for the script that zooms.
    """

    rows: tuple[tuple[ChangeRow, Marked], ...]
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    one: float
    band: tuple[float, float]

    @property
    def shown(self) -> tuple[tuple[ChangeRow, Marked], ...]:
        """The rows of the first screen: a single one more is not worth a fold."""
        return self.rows if len(self.rows) <= SHOWN + 1 else self.rows[:SHOWN]

    @property
    def folded(self) -> tuple[tuple[ChangeRow, Marked], ...]:
        """The rows below."""
        return self.rows[len(self.shown) :]

    @property
    def rounds(self) -> str:
        """Ratios for ticks, within the axis."""
        return " ".join(f"{tick:g}" for tick in ROUND if self.low <= tick <= self.high)


def changes_chart(rows: Sequence[ChangeRow], threshold: float) -> ChangesChart:
    """The chart of at least one row, in this order."""
    bars = [Bar("", row.name, row.ratio, row.low, row.high, row.verdict) for row in rows]
    low, high, ticks = axis(bars, POINTS)
    return ChangesChart(
        tuple((row, marked(row.ratio, row.low, row.high, low, high)) for row in rows),
        low,
        high,
        tuple((share(tick, low, high), f"{tick:g}×") for tick in ticks),
        share(1.0, low, high),
        (share(1 / (1 + threshold), low, high), share(1 + threshold, low, high)),
    )
