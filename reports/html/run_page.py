"""Puts a report together: a run, its answers and its charts into one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from torchduet.bench.record.schema import QUIET, VERDICTS
from torchduet.bench.record.statistics import CONFIDENCE, MIN_PLACEMENTS, THRESHOLD
from torchduet.reports.findings import duet, gpu, loaders
from torchduet.reports.findings.advice import STANDINGS, Answer, answers
from torchduet.reports.findings.noise import noise
from torchduet.reports.findings.remedy import budget_of
from torchduet.reports.findings.trust import trust
from torchduet.reports.findings.unmeasured import gaps, stopped, warnings
from torchduet.reports.html import sections
from torchduet.reports.html.download import downloads
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.html.figures import MAX_PANELS, forests, loader_panels, scalings
from torchduet.reports.html.heatmap import heatmap
from torchduet.reports.profile.section import section as profiles
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables import roofline
from torchduet.reports.tables.frames import frames
from torchduet.reports.text import units
from torchduet.reports.text.settings import TOGETHER

FEW_CASES = 20  # so many are listed without unfolding
FILTERS = ("suite", "device", "mode", "precision", "workers", "verdict")
PARTS = {
    "startup": "Starting up",
    "compiling": "Compiling (first calls)",
    "checking": "Checking results against float64",
    "warming": "Warming up and calibrating",
    "timed": "Timed blocks",
    "profiling": "Profiling",
}


def render(run: Run) -> str:
    """The report on a run, as HTML."""
    tables = frames(run)
    choices = loaders.choices(run)
    found = answers(tables.comparisons, choices, budget_of(run.about["options"]))
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            about=run.about,
            **fixed("report.js"),
            started=date(run.about["started"]),
            machine=_machine(run.about["machine"]),
            options=run.about["options"],
            stopped=stopped(run),
            gaps=gaps(run),
            warnings=warnings(run),
            few=FEW_CASES,
            overview=_overview(found),
            answers=[{"answer": answer, "charts": forests(answer), "link": _filter_link(answer)} for answer in found],
            duet=duet.section(run),
            claims=sections.claims(run),
            paths=sections.paths(run),
            loaders={"choices": choices, "charts": loader_panels(choices)} if choices else None,
            gpu=gpu.section(run),
            roofline=sections.ceilings(run),
            trust=trust(run),
            full=roofline.FULL,
            noise=noise(run),
            quiet=QUIET,
            scalings=scalings(tables.cases),
            max_panels=MAX_PANELS,
            heatmap=heatmap(run),
            profiling=profiles(run),
            suites=sections.suites(run, tables),
            details=sections.details(run),
            downloads=downloads(run, tables),
            choices={name: _choices(tables.cases, name) for name in FILTERS},
            devices=tables.cases["device"].nunique() > 1,
            families=tables.cases["family"].nunique(),
            parts=_parts(run),
            confidence=units.percent(CONFIDENCE),
            threshold=units.percent(_threshold(tables.comparisons)),
            min_placements=MIN_PLACEMENTS,
        )
    )


def _machine(machine: Mapping[str, Any]) -> dict[str, str]:
    """Facts about the machine, in words."""
    shown = {}
    for key, value in machine.items():
        name = key.removesuffix("_bytes").replace("_", " ")
        if isinstance(value, bool) or value is None:
            shown[name] = {True: "yes", False: "no", None: "none"}[value]
        elif key.endswith("_bytes") and isinstance(value, int | float):
            shown[name] = units.size(value)
        else:
            shown[name] = str(value)
    return shown


def _overview(found: list[Answer]) -> list[tuple[str, str, list[Answer]]]:
    """Answers by standing: (standing, its words, the answers), in the order of ``STANDINGS``.

    Several knobs at once say little beside the single ones, and are named only where there are none.
    """
    named = [answer for answer in found if answer.knob != TOGETHER] or found
    return [
        (standing, words, chosen)
        for standing, words in STANDINGS.items()
        if (chosen := [answer for answer in named if answer.standing == standing])
    ]


def _filter_link(answer: Answer) -> str:
    """The fragment that shows an answer's cases in the tables; empty where no filter says it."""
    if answer.knob in FILTERS and answer.value:
        return urlencode({answer.knob: answer.value})
    return urlencode({"q": answer.value}) if answer.knob == "implementation" and answer.value else ""


def _choices(cases: pd.DataFrame, name: str) -> list[str]:
    present = [str(value) for value in dict.fromkeys(cases[name]) if value]
    return [verdict for verdict in VERDICTS if verdict in present] if name == "verdict" else present


def _parts(run: Run) -> list[tuple[str, float, float]]:
    """Where the time went: (what, seconds, share of the whole); what is left over last."""
    seconds: Mapping[str, Any] = run.about["seconds"]
    total = max(float(seconds["total"]), 1e-9)
    parts = [(words, float(seconds[key])) for key, words in PARTS.items() if key in seconds]
    rest = total - sum(part for _, part in parts)
    if rest > 0:
        parts.append(("Everything else", rest))
    return [(words, part, min(1.0, part / total)) for words, part in parts]


def _threshold(comparisons: pd.DataFrame) -> float:
    """The threshold the verdicts were made with; the usual one where there are none."""
    return float(comparisons["threshold"].max()) if len(comparisons) else THRESHOLD
