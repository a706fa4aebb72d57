"""Renders the report on a run as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from torchduet.bench.record.duets.words import title as duet_title
from torchduet.bench.record.marks import short_marks
from torchduet.bench.record.schema import QUIET, VERDICTS
from torchduet.bench.record.statistics import CONFIDENCE, MIN_PLACEMENTS, THRESHOLD
from torchduet.reports.findings import loaders, sustained
from torchduet.reports.findings.advice import answers_of
from torchduet.reports.findings.headline import headline
from torchduet.reports.findings.unmeasured import ended_early, over_budget, warnings, why_uncompared
from torchduet.reports.html.download import downloads
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.html.figures import MAX_PANELS
from torchduet.reports.html.layout import FILTERS, SECTIONS, Sources, in_order, profiled
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables import kernels, roofline
from torchduet.reports.tables.frames import frames
from torchduet.reports.tables.withheld import WAITED
from torchduet.reports.text import units

FEW_CASES = 20  # up to so many are listed unfolded


def render(run: Run) -> str:
    """The report on a run, as HTML."""
    tables = frames(run)
    choices = loaders.choices(run)
    all_answers = answers_of(run, tables.comparisons, choices)
    found = headline(run, tables.cases, all_answers)
    sources = Sources(run, tables, all_answers, choices, found)
    data_of = in_order([(section, section.data(sources)) for section in SECTIONS], found)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **{section.name: data for section, data in data_of},
            sections=[
                {"id": section.id, "title": section.heading(data), "template": section.template}
                for section, data in data_of
                if data is not None
            ],
            run=run,
            about=run.about,
            **fixed("marks.js", "points.js", "zoom.js", "details.js", "report.js", styles=("run.css", "changes.css")),
            headline=found,
            profiled=profiled(data_of),
            title=duet_title(run.about["against"], run.records) if "against" in run.about else found.title,
            started=date(run.about["started"]),
            machine=_machine({**run.about["machine"], **run.about.get("environment", {})}),
            options=run.about["options"],
            stopped=ended_early(run),
            warnings=warnings(run),
            few=FEW_CASES,
            full=roofline.FULL,
            short_marks=short_marks,
            marked=bool((tables.cases["marks"] != "").any()),
            quiet=QUIET,
            waited=WAITED,
            uncompared=why_uncompared(run),
            over_budget=over_budget(run),
            launching=kernels.launching,
            sustained=sustained.shown,
            max_panels=MAX_PANELS,
            downloads=downloads(run, tables),
            choices={name: _choices(tables.cases, name) for name in FILTERS},
            filters=FILTERS,
            devices=tables.cases["device"].nunique() > 1,
            families=tables.cases["family"].nunique(),
            confidence=units.percent(CONFIDENCE),
            threshold=units.percent(_threshold(tables.comparisons)),
            min_placements=MIN_PLACEMENTS,
        )
    )


def _machine(machine: Mapping[str, Any]) -> dict[str, str]:
    """Facts about the machine, in words; environment variables keep their names, which are in capitals."""
    shown = {}
    for key, value in machine.items():
        name = key if key.isupper() else key.removesuffix("_bytes").replace("_", " ")
        if isinstance(value, bool) or value is None:
            shown[name] = {True: "yes", False: "no", None: "none"}[value]
        elif key.endswith("_bytes") and isinstance(value, int | float):
            shown[name] = units.size(value)
        else:
            shown[name] = str(value)
    return shown


def _choices(cases: pd.DataFrame, name: str) -> list[str]:
    present = [str(value) for value in dict.fromkeys(cases[name]) if value]
    return [verdict for verdict in VERDICTS if verdict in present] if name == "verdict" else present


def _threshold(comparisons: pd.DataFrame) -> float:
    """The threshold of the run's verdicts; the default where there are none."""
    return float(comparisons["threshold"].max()) if len(comparisons) else THRESHOLD
