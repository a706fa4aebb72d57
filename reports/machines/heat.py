"""Sums the matrix up for one chart: how far each machine is from the fastest, by case, by workload or by suite."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import geometric_mean

from torchduet.reports.compare.thresholds import DEFAULT
from torchduet.reports.machines.leaders import Figure, leaders
from torchduet.reports.machines.matrix import Row

MAX_ROWS = 20  # of the chart: the finest division into so many rows is taken
FULL_SHADE = 10.0  # a machine that takes so many times as long as the fastest has no shade


@dataclass(frozen=True)
class HeatCell:
    """A machine in a group of cases.

    Attributes:
        distance: its time over that of the fastest machine, the geometric mean over its cases; at least 1. The ends of
            its interval are the means of those of the cases.
        cases: in how many of the group's cases it has a time.
    """

    distance: Figure
    cases: int

    @property
    def ratio(self) -> float:
        """The distance without its interval."""
        return self.distance.value

    @property
    def shade(self) -> float:
        """From 1 (as fast as the fastest) to 0."""
        return max(0.0, 1 - math.log(self.ratio) / math.log(FULL_SHADE))


@dataclass(frozen=True)
class HeatRow:
    """A group of cases; a cell per machine, None where it has none of their times."""

    name: str
    cases: int
    cells: tuple[HeatCell | None, ...]

    @cached_property
    def _leaders(self) -> tuple[int, ...]:
        """The machines of which each may be nearest. Those without one of the cases are left out."""
        return leaders(
            [cell.distance if cell and cell.cases == self.cases else None for cell in self.cells],
            DEFAULT,
        )

    @property
    def nearest(self) -> int | None:
        """The machine that is surely nearest to the fastest of each case; None where another may be as near."""
        return self._leaders[0] if len(self._leaders) == 1 else None

    @property
    def close(self) -> tuple[int, ...]:
        """The machines that are too close to call; empty where one is surely nearest, or nothing is compared."""
        return self._leaders if len(self._leaders) > 1 else ()


@dataclass(frozen=True)
class HeatMap:
    """All rows; ``by`` says what a row is: ``case``, ``workload`` or ``suite``."""

    by: str
    rows: tuple[HeatRow, ...]


DIVISIONS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("case", lambda row: row.work),
    ("workload", lambda row: f"{row.case['suite']}.{row.case['workload']}"),
    ("suite", lambda row: row.case["suite"]),
)


def heat_map(rows: Sequence[Row]) -> HeatMap | None:
    """The chart of all cases that at least two machines measured; None without any."""
    compared = [row for row in rows if row.number > 1]
    if not compared:
        return None
    divided = [(by, _groups(compared, name_of)) for by, name_of in DIVISIONS]
    by, groups = next(((by, groups) for by, groups in divided if len(groups) <= MAX_ROWS), divided[-1])
    return HeatMap(by, tuple(HeatRow(name, len(group), _cells(group)) for name, group in groups.items()))


def _groups(rows: Sequence[Row], name_of: Callable[[Row], str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(name_of(row), []).append(row)
    return groups


def _cells(group: Sequence[Row]) -> tuple[HeatCell | None, ...]:
    return tuple(_cell(group, at) for at in range(len(group[0].cells)))


def _cell(group: Sequence[Row], at: int) -> HeatCell | None:
    distances = [
        (time.value / least, time.low / least, time.high / least)
        for row in group
        if (time := row.times[at])
        for least in [min(other.value for other in row.times if other)]
    ]
    if not distances:
        return None
    return HeatCell(Figure(*map(geometric_mean, zip(*distances, strict=True))), len(distances))
