"""The tables that the terminal and Markdown share: the machines, the chart as figures, and where knobs differ."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.reports.findings.advice import STANDINGS
from torchduet.reports.machines.comparison import Comparison
from torchduet.reports.machines.knobs import Line
from torchduet.reports.text import units

MAX_COLUMNS = 6  # machines beside each other: with more, only the table of machines is written
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]  # its head and its rows


def machines(of: Comparison) -> Table:
    """A row per machine: in how many cases it leads, how fast it is beside the base, and what it costs."""
    priced, energy = any(of.per_hour), of.energy.compared > 0
    head = ["Machine", "Key", "Fastest in", f"× as fast as {of.columns[of.base].name}"]
    head += ["Per hour", "Costs least in", "Work for the same money"] if priced else []
    head += ["Least energy in"] if energy else []
    rows = []
    for at, column in enumerate(of.columns):
        price = of.per_hour[at]
        name = f"{column.name} ({column.measurements})" if column.measurements else column.name
        row = [name, column.machine.key, f"{of.time.wins[at]:,}", of.speed(at)]
        if priced:
            wins = f"{of.cost.wins[at]:,}" if of.cost and price else ""
            row += [of.prices.price(price) if price else "", wins, of.money(at)]
        rows.append(tuple(row + ([f"{of.energy.wins[at]:,}"] if energy else [])))
    return tuple(head), rows


def distances(of: Comparison) -> Table | None:
    """The chart: time over that of the fastest machine; None without a case in common, or for too many machines."""
    if of.heat is None or len(of.columns) > MAX_COLUMNS:
        return None
    head = (of.heat.by.capitalize(), *(column.name for column in of.columns))
    rows = [
        (
            row.name,
            *(
                f"{'★ ' * (row.nearest == at)}{'≈ ' * (at in row.close)}{units.ratio(cell.ratio)}" if cell else ""
                for at, cell in enumerate(row.cells)
            ),
        )
        for row in of.heat.rows
    ]
    return head, rows


def knobs(of: Comparison) -> Table | None:
    """The standing of each setting on each machine; None without any, or for too many machines."""
    if not of.settings or len(of.columns) > MAX_COLUMNS:
        return None
    rows = [
        (
            setting.title.replace("`", ""),
            *(f"{STANDINGS[cell.key]} ({units.ratio(cell.ratio)})" if cell else "" for cell in setting.cells),
        )
        for setting in of.settings
    ]
    return ("Setting", *(column.name for column in of.columns)), rows


def opposites(of: Comparison) -> list[Line]:
    """The comparisons in which a setting is faster on one machine and slower on another, the widest spread first."""
    return [line for line in of.lines if line.disagreement == 2]


def effects(line: Line, of: Comparison) -> str:
    """``faster on NVIDIA A100 (1.52×), slower on AMD EPYC (0.80×)``: the most and the least."""
    known = [(cell, column.name) for cell, column in zip(line.cells, of.columns, strict=True) if cell]
    parts: Sequence[str] = [
        f"{verdict} on {name} ({units.ratio(cell.ratio)})"
        for verdict, pick in (("faster", max), ("slower", min))
        for cell, name in [pick((one for one in known if one[0].verdict == verdict), key=lambda one: one[0].ratio)]
    ]
    return ", ".join(parts)
