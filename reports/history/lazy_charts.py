"""Defers the import of matplotlib until a chart of a history is drawn."""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.reports.charts.model import Chart
from torchduet.reports.history.chart_data import Axis
from torchduet.reports.history.series import Numbers


def pilot_chart(pilots: Mapping[str, Numbers], runs: Axis, prefix: str, machine: str) -> Chart:
    """The machine's pilots over its runs, each over its own median."""
    from torchduet.reports.history import chart

    return chart.pilot_chart(pilots, runs, prefix, machine)
