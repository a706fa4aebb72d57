"""Draws the charts of a history; matplotlib is imported only where one is drawn."""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.reports.charts.model import Chart
from torchduet.reports.history.drawn import Axis, Drawn
from torchduet.reports.history.series import Numbers


def series_chart(drawn: Drawn, name: str, what: str, runs: Axis, prefix: str) -> Chart:
    """One series over the runs of a machine."""
    from torchduet.reports.history import chart

    return chart.series_chart(drawn, name, what, runs, prefix)


def pilot_chart(found: Mapping[str, Numbers], runs: Axis, prefix: str, machine: str) -> Chart:
    """The machine's pilots over its runs, each over its own median."""
    from torchduet.reports.history import chart

    return chart.pilot_chart(found, runs, prefix, machine)
