"""Puts a report together: a run, its answers and its charts into one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.engine.estimate import CONFIDENCE, MIN_PLACEMENTS, THRESHOLD, VERDICTS
from bench.engine.schema import KEY, QUIET
from reports import duet, gpu, loaders, roofline, sections, units
from reports.advice import STANDINGS, Answer, answers
from reports.figures import MAX_PANELS, forests, loader_panels, scalings
from reports.frames import frames
from reports.gaps import gaps, stopped, warnings
from reports.harmless import short, visible
from reports.knobs import TOGETHER
from reports.load import Run
from reports.noise import noise
from reports.remedy import budget_of
from reports.trust import trust

TEMPLATES = Path(__file__).parent / "templates"
SYMBOLS = {"faster": "▲", "slower": "▼", "same": "■", "unclear": "○"}
FEW_CASES = 20  # so many are listed without unfolding
FILTERS = ("suite", "device", "mode", "precision", "workers", "verdict")
PARTS = {
    "startup": "Starting up",
    "compiling": "Compiling (first calls)",
    "checking": "Checking results against float64",
    "warming": "Warming up and calibrating",
    "timed": "Timed blocks",
}


def render(run: Run) -> str:
    """The report on a run, as HTML."""
    tables = frames(run)
    choices = loaders.choices(run)
    found = answers(tables.comparisons, choices, budget_of(run.about["options"]))
    script = (TEMPLATES / "report.js").read_text("utf-8")
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            about=run.about,
            csp=content_policy(script),
            css=Markup((TEMPLATES / "report.css").read_text("utf-8")),
            script=Markup(script),
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
            suites=sections.suites(run, tables),
            details=sections.details(run),
            choices={name: _choices(tables.cases, name) for name in FILTERS},
            devices=tables.cases["device"].nunique() > 1,
            families=tables.cases["family"].nunique(),
            parts=_parts(run),
            confidence=units.percent(CONFIDENCE),
            threshold=units.percent(_threshold(tables.comparisons)),
            min_placements=MIN_PLACEMENTS,
        )
    )


def content_policy(script: str) -> str:
    """The Content-Security-Policy: nothing from anywhere, no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def environment() -> Environment:
    """Where templates come from, and how they write numbers."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(
        prose=prose,
        seconds=units.seconds,
        duration=units.duration,
        ratio=units.ratio,
        percent=units.percent,
        count=units.count,
        small=units.small,
        breakable=breakable,
        size=units.size,
        quantity=units.quantity,
        missing=lambda value: value is None or bool(pd.isna(value)),
    )
    environment.globals.update(
        symbols=SYMBOLS,
        verdicts=VERDICTS,
        ratio_interval=lambda low, high: units.ratio_interval(_number(low), _number(high)),
        seconds_interval=lambda low, high: units.seconds_interval(_number(low), _number(high)),
        raw=_raw,
        KEY=KEY,
    )
    return environment


def _visible(value: Any) -> Any:
    """What is written into the page, its control characters as escapes: no name can steer how the page reads."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def prose(text: str) -> Markup:
    """A sentence as HTML: what stands between backticks as code, numbers kept with their units."""
    pieces = []
    for place, piece in enumerate(visible(text).split("`")):
        if place % 2:
            whole = Markup(' class="option"') if piece.startswith("--") else ""
            pieces.append(Markup("<code{}>{}</code>").format(whole, short(piece)))
        else:
            kept = re.sub(r"(?<=\d) (?=(?:%|ns|µs|ms|s|min|h|million|billion)\b|%)", "\u00a0", piece)
            pieces.append(escape(kept))
    return Markup("").join(pieces)


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after an underscore; one of over 300 letters is shortened in its middle.

    It stands apart from the direction of what surrounds it.
    """
    whole = visible(name, spaces=False)
    shown = short(whole)
    title = Markup(' title="{}"').format(whole) if shown != whole else ""
    return Markup("<bdi{}>{}</bdi>").format(title, Markup("_<wbr>").join(shown.split("_")))


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _raw(value: Any) -> str:
    """A number for sorting by; empty sorts last."""
    number = _number(value)
    return "" if number is None else repr(number)


def date(started: str) -> str:
    """When a run began, in words; as it stands in the file if that is no date."""
    try:
        return datetime.fromisoformat(started).strftime("%-d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return started


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
    parts = [(words, float(seconds[key])) for key, words in PARTS.items()]
    rest = total - sum(part for _, part in parts)
    if rest > 0:
        parts.append(("Everything else", rest))
    return [(words, part, min(1.0, part / total)) for words, part in parts]


def _threshold(comparisons: pd.DataFrame) -> float:
    """The threshold the verdicts were made with; the usual one where there are none."""
    return float(comparisons["threshold"].max()) if len(comparisons) else THRESHOLD
