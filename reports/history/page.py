"""The history of one machine or several as one self-contained HTML page in the look of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.charts.model import Chart
from torchduet.reports.history import words
from torchduet.reports.history.changes import MIN_RUNS
from torchduet.reports.history.collect import Collection
from torchduet.reports.history.drawing import pilot_chart, series_chart
from torchduet.reports.history.drawn import Drawn, axis_of, pilots_of
from torchduet.reports.history.events import Event, events
from torchduet.reports.history.judge import SPEEDUP, TIME, Change, Judged, Line
from torchduet.reports.history.key import Machine
from torchduet.reports.history.rates import MEASURED, SETTING
from torchduet.reports.history.series import CaseName, Numbers
from torchduet.reports.history.spark import sparkline
from torchduet.reports.html.environment import environment, fixed
from torchduet.reports.html.helper_process import Helper
from torchduet.reports.text import units
from torchduet.reports.text.settings import FILTERS

MAX_CHARTS = 40  # series that are drawn in full
MAX_EVENTS = 60  # runs with changes that are listed
SHOWN_BEFORE = 2  # of them, where nothing changed lately
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
        threshold: the share of the time that a change has to exceed to matter.
        helper: draws the charts (default: this process).
    """
    second = helper or Helper()
    machines = [one.history.machine for one in judged]
    found = [events(one.found()) for one in judged]
    anchors = [f"machine-{place + 1}" for place in range(len(judged))]
    budget = MAX_CHARTS
    begun = []
    for one, its, anchor in zip(judged, found, anchors, strict=True):
        begun.append(_charts(one, its, budget, anchor, second))
        budget -= len(begun[-1])
    pilots = [
        _pilots(one, f"{anchor}-p", words.label(one.history.machine, machines), second)
        for one, anchor in zip(judged, anchors, strict=True)
    ]
    entries = [_entry(one, its, anchor, machines) for one, its, anchor in zip(judged, found, anchors, strict=True)]
    for entry, charts, chart in zip(entries, begun, pilots, strict=True):  # drawn in the meantime, if somewhere else
        entry["charts"] = {key: finished() for key, finished in charts.items()}
        entry["pilots"] = chart() if chart else None
    templates = environment()
    templates.globals.update(words=words, chart_of=_chart_of, TIME=TIME, SPEEDUP=SPEEDUP)
    return templates.get_template("history.html.j2").render(
        title=words.headline(judged[0], found[0]) if len(judged) == 1 else f"{len(judged)} machines over time",
        **fixed("report.js"),
        entries=entries,
        choices=_choices(entries),
        confidence=units.percent(CONFIDENCE),
        threshold=words.share(threshold),
        lately=words.LATELY,
        least=MIN_RUNS,
        rates=MEASURED,
        setting=SETTING,
        left_out=[(name, rows[:MAX_NAMED], len(rows)) for name, rows in words.left_out(collection)],
        notes=collection.notes,
        runs=len(collection.runs),
    )


def _entry(judged: Judged, found: Sequence[Event], anchor: str, machines: list[Machine]) -> dict[str, Any]:
    recent = words.lately(judged, found)
    shown = recent or list(found[:SHOWN_BEFORE])
    slower = {one.case.id for event in recent for one in event.of(TIME, "slower")}
    faster = {one.case.id for event in recent for one in event.of(TIME, "faster")}
    history = judged.history
    return {
        "judged": judged,
        "machine": history.machine,
        "label": words.label(history.machine, machines),
        "anchor": anchor,
        "tone": "no" if slower else "yes" if faster else "same" if len(history.runs) >= MIN_RUNS else "unclear",
        "slower": len(slower),
        "span": words.span(history),
        "headline": words.headline(judged, found),
        "quiet": not recent,
        "recent": shown,
        "older": list(found[len(shown) : MAX_EVENTS]),
        "unlisted": max(len(found) - MAX_EVENTS, 0),
        "together": words.together(judged),
        "rows": _rows(judged),
        "days": [run.day or run.path for run in history.runs],
        "versions": [
            (number, history.runs[place], history.runs[place].day)
            for number, place in enumerate(axis_of(history).versions, start=1)
        ],
    }


def _rows(judged: Judged) -> list[Row]:
    """A row per case: first those that changed, the latest first; then the others as in the files."""
    rows = []
    for place, (case, time, speedup) in enumerate(
        zip(judged.history.cases, judged.times, judged.speedups, strict=True)
    ):
        changed = [one for one in time.changes if one.verdict != "machine"]
        rows.append(
            Row(
                case,
                time,
                speedup,
                _latest(judged.history.seconds[place]),
                _latest(judged.history.speedup[place]),
                changed[-1] if changed else None,
                sparkline(time),
                sparkline(speedup) if speedup else Markup(""),
            )
        )
    return sorted(rows, key=lambda row: (-row.changed.after, -abs(row.changed.height.point)) if row.changed else (1, 0))


def _latest(values: Numbers) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None


def _pilots(judged: Judged, prefix: str, machine: str, helper: Helper) -> Callable[[], Chart] | None:
    """What gives the chart of the pilots once it is needed; None without any."""
    found = pilots_of(judged.history)
    return helper.begin(pilot_chart, found, axis_of(judged.history), prefix, machine) if found else None


def _charts(
    judged: Judged, found: Sequence[Event], most: int, anchor: str, helper: Helper
) -> dict[tuple[str, str], Callable[[], Chart]]:
    """Every changed series in full, the latest changes first, as far as there is room: (case, what) → its chart."""
    history = judged.history
    runs = axis_of(history)
    places = {case.id: place for place, case in enumerate(history.cases)}
    wanted = dict.fromkeys(
        (one.case.id, what)
        for event in found
        for what in (TIME, SPEEDUP)
        for one in sorted(event.changes, key=lambda one: -abs(one.height.point))
        if one.what == what
    )
    charts = {}
    for number, (case, what) in enumerate(list(wanted)[: max(most, 0)]):
        place = places[case]
        if what == TIME:
            low, high = (np.log(side[place]) - judged.removed[place] for side in (history.low, history.high))
            drawn = Drawn(judged.times[place], low, high)
        else:
            line = judged.speedups[place]
            assert line is not None  # it has a change
            drawn = Drawn(line, np.log(history.speedup_low[place]), np.log(history.speedup_high[place]))
        charts[case, what] = helper.begin(series_chart, drawn, case, what, runs, f"{anchor}-{number}")
    return charts


def _chart_of(entry: dict[str, Any], event: Event) -> list[Chart]:
    """The charts of an event's series that stand under it: a series is drawn once, with its latest change."""
    charts = []
    for one in event.changes:
        key = (one.case.id, one.what)
        chart = entry["charts"].get(key)
        if chart is not None and _latest_event(entry, key) is event:
            charts.append(chart)
    return charts


def _latest_event(entry: dict[str, Any], key: tuple[str, str]) -> Event | None:
    every: list[Event] = [*entry["recent"], *entry["older"]]
    return next((event for event in every if any((one.case.id, one.what) == key for one in event.changes)), None)


def _choices(entries: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """What the tables can be filtered by."""
    rows = [row for entry in entries for row in entry["rows"]]
    found = {
        name: [value for value in dict.fromkeys(row.case.filters[name] for row in rows) if value] for name in FILTERS
    }
    present = {row.time.verdict for row in rows}
    return {**found, "verdict": [verdict for verdict in ("slower", "faster", "same", "unclear") if verdict in present]}
