"""Renders the history of one machine or several as one self-contained HTML page in the style of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from markupsafe import Markup

from torchduet.bench.record.machines.key import Machine
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.charts.model import Chart
from torchduet.reports.history import plot as plots
from torchduet.reports.history import words
from torchduet.reports.history.changes import MIN_RUNS
from torchduet.reports.history.chart_data import Drawn, axis_of, pilots_of
from torchduet.reports.history.collect import Collection, left_out
from torchduet.reports.history.events import Event, events
from torchduet.reports.history.judged import SPEEDUP, TIME, VERDICTS, Change, Judged, Line
from torchduet.reports.history.lazy_charts import pilot_chart
from torchduet.reports.history.plot import Plot
from torchduet.reports.history.rates import (
    LATEST,
    LATEST_SETTING,
    MEASURED,
    SETTING,
    SUSPECTED,
    SUSPECTED_SETTING,
    fitting,
)
from torchduet.reports.history.series import CaseName, Numbers
from torchduet.reports.history.spark import sparkline
from torchduet.reports.html.environment import environment, fixed
from torchduet.reports.html.helper_process import Helper
from torchduet.reports.text import units
from torchduet.reports.text.settings import FILTERS

MAX_POINTS = 6000  # of all plots together
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
    suspicion: Change | None
    time_spark: Markup
    speedup_spark: Markup


def render(
    collection: Collection,
    judged: Sequence[Judged],
    threshold: float,
    helper: Helper | None = None,
    reports: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The page on the histories of these machines.

    Args:
        judged: a history per machine, the one with the latest run first.
        threshold: share of the time that a change must exceed to matter.
        helper: draws the charts (default: this process).
        reports: path of a run → address of its own report, where there is one.
    """
    second = helper or Helper()
    machines = [machine.history.machine for machine in judged]
    events_of = [events(machine.changes()) for machine in judged]
    anchors = [f"machine-{index + 1}" for index in range(len(judged))]
    pilots = [
        _pilots(machine, f"{anchor}-p", words.label(machine.history.machine, machines), second)
        for machine, anchor in zip(judged, anchors, strict=True)
    ]
    left = MAX_POINTS
    entries = []
    for machine, its_events, anchor in zip(judged, events_of, anchors, strict=True):
        entry = _entry(machine, its_events, anchor, machines)
        entry["plots"] = _plots(machine, its_events, left, anchor, reports)
        left -= sum(len(plot.points) for plot, _ in entry["plots"].values())
        entries.append(entry)
    for entry, chart in zip(entries, pilots, strict=True):  # another process, if any, drew them
        entry["pilots"] = chart() if chart else None
    templates = environment()
    templates.globals.update(words=words, TIME=TIME, SPEEDUP=SPEEDUP, last_of=lambda row: row.changed or row.suspicion)
    return templates.get_template("history.html.j2").render(
        title=words.headline(judged[0], events_of[0]) if len(judged) == 1 else f"{len(judged)} machines over time",
        **fixed("marks.js", "points.js", "report.js", styles=("run.css", "changes.css")),
        entries=entries,
        choices=_choices(entries),
        confidence=units.percent(CONFIDENCE),
        threshold=units.percent(threshold),
        least=MIN_RUNS,
        rates=MEASURED,
        setting=SETTING,
        suspected_rates=SUSPECTED,
        suspected_setting=SUSPECTED_SETTING,
        latest_rates=LATEST,
        latest_setting=LATEST_SETTING,
        left_out=[(name, rows[:MAX_NAMED], len(rows)) for name, rows in left_out(collection)],
        notes=collection.notes,
        runs=len(collection.runs),
    )


def _entry(judged: Judged, all_events: Sequence[Event], anchor: str, machines: list[Machine]) -> dict[str, Any]:
    recent = words.recent(judged, all_events)
    shown = recent or list(all_events[:SHOWN_BEFORE])
    slower = {change.case.id for event in recent for change in event.of(TIME, "slower")}
    faster = {change.case.id for event in recent for change in event.of(TIME, "faster")}
    history = judged.history
    headline = words.headline(judged, all_events)
    suspicions = judged.suspicions()
    return {
        "judged": judged,
        "machine": history.machine,
        "label": words.label(history.machine, machines),
        "anchor": anchor,
        "tone": "no" if slower else "yes" if faster else "same" if len(history.runs) >= MIN_RUNS else "unclear",
        "suspicions": suspicions,
        "span": words.span(history),
        "headline": headline,
        "astray": words.besides(judged, headline),
        "quiet": not recent,
        "recent": shown,
        "older": list(all_events[len(shown) : MAX_EVENTS]),
        "unlisted": max(len(all_events) - MAX_EVENTS, 0),
        "common": words.common_changes(judged),
        "rows": (rows := _rows(judged)),
        "shown": _shown(rows),
        "rates": _rates(judged),
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
                time.suspicion,
                sparkline(time),
                sparkline(speedup) if speedup else Markup(""),
            )
        )
    return sorted(rows, key=_urgency)


def _shown(rows: Sequence[Row]) -> dict[str, bool]:
    """Which columns of the table have a value in any row."""
    return {
        "change": any(row.changed or row.suspicion for row in rows),
        "noise": any(row.time.noise for row in rows),
        "creep": any(row.time.creep for row in rows),
        "speedup": any(row.speedup or row.ratio for row in rows),
        "why": any(row.time.why for row in rows),
    }


def _rates(judged: Judged) -> list[str]:
    """How often simulated series like these err: of a page's many tables, the rows that fit."""
    noises = [line.noise.deviation for line in judged.times if line.noise]
    return fitting(len(judged.history.runs), float(np.median(noises)) if noises else None)


def _urgency(row: Row) -> tuple[float, float]:
    last = row.changed or row.suspicion
    return (-last.after, -abs(last.height.point)) if last else (1, -abs(row.time.stray))


def _latest(values: Numbers) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None


def _pilots(judged: Judged, prefix: str, machine: str, helper: Helper) -> Callable[[], Chart] | None:
    """A function that gives the chart of the pilots; None without any."""
    pilots = pilots_of(judged.history)
    return helper.begin(pilot_chart, pilots, axis_of(judged.history), prefix, machine) if pilots else None


def _plots(
    judged: Judged, all_events: Sequence[Event], most: int, anchor: str, reports: Mapping[str, str]
) -> dict[tuple[str, str], tuple[Plot, Line]]:
    """The plots, (case, what) → the plot and its series: the headline’s, those that changed or are suspected, all.

    Args:
        most: number of points in all of them.
    """
    history = judged.history
    indices = {case.id: index for index, case in enumerate(history.cases)}
    changed = [
        change
        for event in all_events
        for what in (TIME, SPEEDUP)
        for change in sorted(event.changes, key=lambda change: (change.verdict != "slower", -abs(change.height.point)))
        if change.what == what
    ]
    first = words.moved_of(words.recent(judged, all_events))[:1]
    strays = [case.id for case, _ in judged.strays()]
    wanted = dict.fromkeys(
        (
            *((change.case.id, change.what) for change in (*first, *changed, *judged.suspicions())),
            *((case, TIME) for case in (*strays, *indices)),
        )
    )
    found: dict[tuple[str, str], tuple[Plot, Line]] = {}
    for number, (case, what) in enumerate(wanted):
        index = indices[case]
        line = judged.times[index] if what == TIME else judged.speedups[index]
        assert line is not None  # it has a change
        points = min(int(np.isfinite(line.logs).sum()), plots.MAX_POINTS)
        if not points:
            continue
        if points > most:
            break
        most -= points
        if what == TIME:
            low, high = (np.log(side[index]) - judged.removed[index] for side in (history.low, history.high))
        else:
            low, high = np.log(history.speedup_low[index]), np.log(history.speedup_high[index])
        its_anchor = f"{anchor}-case-{number + 1}"
        found[case, what] = plots.plot(Drawn(line, low, high), case, what, history.runs, reports, its_anchor), line
    return found


def _choices(entries: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The values that the tables can be filtered by."""
    rows = [row for entry in entries for row in entry["rows"]]
    choices = {
        name: [value for value in dict.fromkeys(row.case.filters[name] for row in rows) if value] for name in FILTERS
    }
    present = {row.time.verdict for row in rows}
    choices["verdict"] = [verdict for verdict in VERDICTS if verdict in present]
    return choices
