"""The details of each case, packed into the page and shown in a dialog when a reader asks for one.

Each is HTML, made here so that every name in it is escaped once. Unpacked they would be most of a page's words.
"""

from __future__ import annotations

import json
from typing import Any

from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.reports.findings import sustained
from torchduet.reports.findings.duet import BothSides, sides_of_cases
from torchduet.reports.html import sections
from torchduet.reports.html.download import packed
from torchduet.reports.html.environment import environment
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables import kernels
from torchduet.reports.tables.visits import number_of_visits
from torchduet.reports.text import units
from torchduet.reports.text.escaping import cell, inline


def case_details(run: Run) -> dict[str, str]:
    """Anchor of a case → its details as HTML."""
    template = environment().get_template("case.html.j2")
    sides = sides_of_cases(run)
    visits = "against" not in run.about and any(map(number_of_visits, run.records))
    return {
        detail.anchor: template.render(
            record=detail.record,
            speedups=speedups_of(detail.record),
            sides=sides.get(detail.record["case"]["id"]),
            timing=detail.timing,
            bound=detail.bound,
            alone=detail.alone,
            visits=visits,
            confidence=units.percent(CONFIDENCE),
            sustained=sustained.shown,
            launching=kernels.launching,
            markdown=as_markdown(detail.record, sides.get(detail.record["case"]["id"])),
        )
        for _, members in sections.details(run)
        for detail in members
    }


def packed_details(run: Run) -> str:
    """All of them as gzipped JSON in base64; empty where there is no case."""
    details = case_details(run)
    return packed(json.dumps(details, ensure_ascii=False)) if details else ""


def as_markdown(record: Any, sides: BothSides | None = None) -> str:
    """A case for an issue or a pull request: its time, and a table of its speed-ups; of a duet, that of both sides."""
    if sides is not None:
        of, names = sides.result, sides.names
        interval = units.ratio_interval(of["low"], of["high"]) or "no interval"
        base, new = units.seconds(of["base_seconds"]), units.seconds(of["seconds"])
        return (
            f"**{inline(record['case']['id'])}**: {inline(names.base)} {base}, {inline(names.new)} {new} per call; "
            f"base / new {units.ratio(of['ratio'])} ({interval}), {of['verdict']}"
        )
    timing = record["timing"]
    interval = units.seconds_interval(timing["low"], timing["high"])
    lines = [f"**{inline(record['case']['id'])}**: {units.seconds(timing['seconds'])} per call"]
    lines[0] += f" ({interval})" if interval else ""
    speedups = speedups_of(record)
    if speedups:
        lines += ["", "| against | speed-up | 99 % interval | verdict |", "| --- | --- | --- | --- |"]
    for speedup in speedups:
        shown = units.ratio_interval(speedup["low"], speedup["high"]) or "none"
        row = (speedup["against"], units.ratio(speedup["ratio"]), shown, speedup["verdict"])
        lines.append(f"| {' | '.join(map(cell, row))} |")
    return "\n".join(lines)


def speedups_of(record: Any) -> list[Any]:
    """A case's speed-ups, each once: that of a single knob over the reference stands in the record as both."""
    by_knob = {speedup["against"] for speedup in record["speedups"] if speedup["knob"] != "reference"}
    return [
        speedup for speedup in record["speedups"] if speedup["knob"] != "reference" or speedup["against"] not in by_knob
    ]
