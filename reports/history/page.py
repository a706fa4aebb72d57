"""Renders the history of one machine or several as one self-contained HTML page in the style of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from torchduet.bench.record.machines.key import Machine
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.charts.model import Chart
from torchduet.reports.history import words
from torchduet.reports.history.changes import MIN_RUNS
from torchduet.reports.history.chart_data import Drawn, axis_of, pilots_of
from torchduet.reports.history.collect import Collection
from torchduet.reports.history.events import Event, events
from torchduet.reports.history.judge import SPEEDUP, TIME, Change, Judged, Line
from torchduet.reports.history.lazy_charts import pilot_chart, series_chart
from torchduet.reports.history.rates import MEASURED, SETTING
from torchduet.reports.history.series import CaseName, Numbers
from torchduet.reports.history.spark import sparkline
from torchduet.reports.html.environment import environment, fixed
from torchduet.reports.html.helper_process import Helper
from torchduet.reports.text import units
from torchduet.reports.text.settings import FILTERS

MAX_CHARTS = 40  # series that are drawn in full
MAX_EVENTS = 60  # runs with changes that are listed
SHOWN_BEFORE = 2  # of them, if there is none among the latest runs
MAX_NAMED = 200  # files


@dataclass(frozen=True)
class Row:
    """A case in the table of all cases."""

    case: CaseName
    time: Line
    speedup: Line | None
    latest: float | None
    ratio: float | None
    changed: Change | None
    time_spark: Markup
    speedup_spark: Markup


def render(collection: Collection, judged: Sequence[Judged], threshold: float, helper: Helper | None = None) -> str:
    """The page on the histories of these machines.

    Args:
        judged: a history per machine, the one with the latest run first.
        threshold: share of the time that a change must exceed to matter.
        helper: draws the charts (default: this process).
    """
    second = helper or Helper()
    machines = [machine.history.machine for machine in judged]
    events_of = [events(machine.changes()) for machine in judged]
    anchors = [f"machine-{index + 1}" for index in range(len(judged))]
    budget = MAX_CHARTS
    charts_of = []
    for machine, its_events, anchor in zip(judged, events_of, anchors, strict=True):
        charts_of.append(_charts(machine, its_events, budget, anchor, second))
        budget -= len(charts_of[-1])
    pilots = [
        _pilots(machine, f"{anchor}-p", words.label(machine.history.machine, machines), second)
        for machine, anchor in zip(judged, anchors, strict=True)
    ]
    entries = [
        _entry(machine, its_events, anchor, machines)
        for machine, its_events, anchor in zip(judged, events_of, anchors, strict=True)
    ]
    for entry, charts, chart in zip(entries, charts_of, pilots, strict=True):  # another process, if any, drew them
        entry["charts"] = {key: finished() for key, finished in charts.items()}
        entry["pilots"] = chart() if chart else None
    templates = environment()
    templates.globals.update(words=words, chart_of=_chart_of, TIME=TIME, SPEEDUP=SPEEDUP)
    return templates.get_template("history.html.j2").render(
        title=words.headline(judged[0], events_of[0]) if len(judged) == 1 else f"{len(judged)} machines over time",
        **fixed("report.js"),
        entries=entries,
        choices=_choices(entries),
        confidence=units.percent(CONFIDENCE),
        threshold=words.share(threshold),
        least=MIN_RUNS,
        rates=MEASURED,
        setting=SETTING,
        left_out=[(name, rows[:MAX_NAMED], len(rows)) for name, rows in words.left_out(collection)],
        notes=collection.notes,
        runs=len(collection.runs),
    )


def _entry(judged: Judged, all_events: Sequence[Event], anchor: str, machines: list[Machine]) -> dict[str, Any]:
    recent = words.recent(judged, all_events)
    shown = recent or list(all_events[:SHOWN_BEFORE])
    slower = {change.case.id for event in recent for change in event.of(TIME, "slower")}
    faster = {change.case.id for event in recent for change in event.of(TIME, "faster")}
    history = judged.history
    number, under = words.figure(judged, len(slower))
    return {
        "judged": judged,
        "machine": history.machine,
        "label": words.label(history.machine, machines),
        "anchor": anchor,
        "tone": "no" if slower else "yes" if faster else "same" if len(history.runs) >= MIN_RUNS else "unclear",
        "number": number,
        "under": under,
        "span": words.span(history),
        "headline": words.headline(judged, all_events),
        "quiet": not recent,
        "recent": shown,
        "older": list(all_events[len(shown) : MAX_EVENTS]),
        "unlisted": max(len(all_events) - MAX_EVENTS, 0),
        "common": words.common_changes(judged),
        "rows": _rows(judged),
        "days": [run.day or run.path for run in history.runs],
        "versions": [
            (number, history.runs[run], history.runs[run].day)
            for number, run in enumerate(axis_of(history).versions, start=1)
        ],
    }


def _rows(judged: Judged) -> list[Row]:
    """A row per case: first those that changed, the latest change first; then the others in the order of the files."""
    rows = []
    for index, (case, time, speedup) in enumerate(
        zip(judged.history.cases, judged.times, judged.speedups, strict=True)
    ):
        changes = [change for change in time.changes if change.verdict != "machine"]
        rows.append(
            Row(
                case,
                time,
                speedup,
                _latest(judged.history.seconds[index]),
                _latest(judged.history.speedup[index]),
                changes[-1] if changes else None,
                sparkline(time),
                sparkline(speedup) if speedup else Markup(""),
            )
        )
    return sorted(rows, key=lambda row: (-row.changed.after, -abs(row.changed.height.point)) if row.changed else (1, 0))


def _latest(values: Numbers) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None


def _pilots(judged: Judged, prefix: str, machine: str, helper: Helper) -> Callable[[], Chart] | None:
    """A function that gives the chart of the pilots; None without any."""
    pilots = pilots_of(judged.history)
    return helper.begin(pilot_chart, pilots, axis_of(judged.history), prefix, machine) if pilots else None


def _charts(
    judged: Judged, all_events: Sequence[Event], most: int, anchor: str, helper: Helper
) -> dict[tuple[str, str], Callable[[], Chart]]:
    """Charts of the changed series, the latest changes first, at most so many: (case, what) → a function that draws."""
    history = judged.history
    runs = axis_of(history)
    indices = {case.id: index for index, case in enumerate(history.cases)}
    changed = dict.fromkeys(
        (change.case.id, what)
        for event in all_events
        for what in (TIME, SPEEDUP)
        for change in sorted(event.changes, key=lambda change: -abs(change.height.point))
        if change.what == what
    )
    charts = {}
    for number, (case, what) in enumerate(list(changed)[: max(most, 0)]):
        index = indices[case]
        if what == TIME:
            low, high = (np.log(side[index]) - judged.removed[index] for side in (history.low, history.high))
            drawn = Drawn(judged.times[index], low, high)
        else:
            line = judged.speedups[index]
            assert line is not None  # it has a change
            drawn = Drawn(line, np.log(history.speedup_low[index]), np.log(history.speedup_high[index]))
        charts[case, what] = helper.begin(series_chart, drawn, case, what, runs, f"{anchor}-{number}")
    return charts


def _chart_of(entry: dict[str, Any], event: Event) -> list[Chart]:
    """The charts below an event: each series is drawn once, below its latest change."""
    charts = []
    for change in event.changes:
        key = (change.case.id, change.what)
        chart = entry["charts"].get(key)
        if chart is not None and _latest_event(entry, key) is event:
            charts.append(chart)
    return charts


def _latest_event(entry: dict[str, Any], key: tuple[str, str]) -> Event | None:
    listed: list[Event] = [*entry["recent"], *entry["older"]]
    return next(
        (event for event in listed if any((change.case.id, change.what) == key for change in event.changes)), None
    )


def _choices(entries: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The values that the tables can be filtered by."""
    rows = [row for entry in entries for row in entry["rows"]]
    choices = {
        name: [value for value in dict.fromkeys(row.case.filters[name] for row in rows) if value] for name in FILTERS
    }
    present = {row.time.verdict for row in rows}
    choices["verdict"] = [verdict for verdict in ("slower", "faster", "same", "unclear") if verdict in present]
    return choices
