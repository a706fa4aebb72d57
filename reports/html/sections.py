"""Gathers what each section of the page needs; how it looks is left to the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import IMPLEMENTATION, KNOBS, Knob, code
from torchduet.bench.record.schema import Record
from torchduet.reports.charts.roofline import roofcharts
from torchduet.reports.findings import ablation, claim_words, meters
from torchduet.reports.findings.claims import judge
from torchduet.reports.findings.noise import of_case
from torchduet.reports.html.figures import path_chart
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import Frames, anchor, each
from torchduet.reports.tables.roofline import SOURCE, Bound, bounds
from torchduet.reports.tables.roofline import sentences as bound_sentences
from torchduet.reports.text import units

Detail = tuple[str, Record, dict[str, str], Bound | None]

STOPS = {
    "precise": "every interval was narrow enough",
    "budget": "the time budget was used up",
    "limit": "the limit of placements was reached",
    "interrupted": "the run was interrupted",
}


PARTS = {
    "startup": "Starting up",
    "compiling": "Compiling (first calls)",
    "checking": "Checking results against float64",
    "warming": "Warming up and calibrating",
    "timed": "Timed blocks",
    "profiling": "Profiling",
}


def suites(run: Run, tables: Frames) -> list[dict[str, Any]]:
    """Per suite: its rows, which columns they fill, and what its cases note beside their time."""
    noted = {table.suite: table for table in meters.tables(run, tables)}
    found = []
    for place, (name, rows) in enumerate(tables.cases.groupby("suite", sort=False)):
        telling = [knob for knob in KNOBS if _has_column(knob, rows, tables.cases)]
        rates = [
            (key, label, scale)
            for key, label, scale in (
                ("flops_per_second", "GFLOP/s", 1e9),
                ("bytes_per_second", "GB/s", 1e9),
                ("samples_per_second", "samples/s", 1.0),
            )
            if rows[key].notna().any()
        ]
        found.append(
            {
                "name": name,
                "anchor": f"suite-{place + 1}",
                "rows": list(each(rows)),
                "stacked": [_stacked(row, telling) for row in each(rows)],
                "knobs": telling,
                "bounds": bool(rows["share_of_ceiling"].notna().any()),
                "meters": noted.get(str(name)),
                "rates": rates,
            }
        )
    return found


def _has_column(knob: Knob, rows: pd.DataFrame, cases: pd.DataFrame) -> bool:
    """Whether a suite's table shows a knob: where its cases differ in it, and always what every case is run under."""
    if knob.optional:
        return bool((rows[knob.name] != knob.absent).any())
    if knob.name == IMPLEMENTATION:
        return bool((rows.groupby("workload")[knob.name].nunique() > 1).any())
    return knob.reference is not None or bool(cases[knob.name].nunique() > 1)


def _stacked(row: Any, telling: Sequence[Knob]) -> str:
    """What sets a case apart from others of its workload, for tables too narrow for a column each."""
    named = [knob for knob in telling if knob.name != IMPLEMENTATION or row.implementation != row.workload]
    parts = (row.size.replace(",", ", "), *(knob.spoken(str(getattr(row, knob.name))) for knob in named))
    return " · ".join(filter(None, parts))


def details(run: Run) -> list[tuple[str, list[Detail]]]:
    """Per suite, each case's place in the page, its record, how it was timed and what bounds it."""
    suites: dict[str, list[Detail]] = {}
    limits = bounds(run)
    for index, record in enumerate(run.records):
        suites.setdefault(record["case"]["suite"], []).append(
            (anchor(index), record, _timing(record), limits.get(record["case"]["id"]))
        )
    return list(suites.items())


def claims(run: Run) -> dict[str, Any] | None:
    """The claims in the order of their verdicts' weight; None where there is nothing to judge by.

    A duet holds each case against itself on the other side, and none against another case.
    """
    if not run.records or "against" in run.about:
        return None
    judged = judge(run)
    return {
        "judged": [one for one in judged if one.findings],
        "unmeasured": [one for one in judged if not one.findings],
        "tones": {"holds": "yes", "fails": "no", "unclear": "unclear"},
        "words": claim_words,
        "counted": {verdict: sum(one.verdict == verdict for one in judged) for verdict in claim_words.VERDICTS},
        "counting": {
            "holds": "hold",
            "fails": "do not hold",
            "unclear": "unclear",
            "unmeasured": "cannot be measured",
        },
    }


def paths(run: Run) -> list[dict[str, Any]]:
    """Each path with its sentences, its chart and how much time each step saved."""
    found = []
    for path in ablation.paths(run):
        rows = []
        for place, step in enumerate(path.steps):
            saved = path.steps[place - 1].seconds - step.seconds if step.over_previous else None
            rows.append((step, "" if saved is None else f"{'−' if saved > 0 else '+'}{units.seconds(abs(saved))}"))
        found.append({"path": path, "sentences": ablation.sentences(path), "chart": path_chart(path), "rows": rows})
    return found


def ceilings(run: Run) -> dict[str, Any] | None:
    """What the ceilings say; None where the file has none, or no case has a known cost."""
    limits = bounds(run)
    if not limits:
        return None
    plain = {record["case"]["id"]: record["case"]["id"] for record in run.records}
    return {
        "sentences": bound_sentences(limits, {name: code(name) for name in plain}),
        "charts": roofcharts(run, plain, limits),
        "source": SOURCE,
    }


def parts(run: Run) -> list[tuple[str, float, float]]:
    """Where the time went: (what, seconds, share of the whole); what is left over last."""
    seconds: Mapping[str, Any] = run.about["seconds"]
    total = max(float(seconds["total"]), 1e-9)
    parts = [(words, float(seconds[key])) for key, words in PARTS.items() if key in seconds]
    rest = total - sum(part for _, part in parts)
    if rest > 0:
        parts.append(("Everything else", rest))
    return [(words, part, min(1.0, part / total)) for words, part in parts]


def _timing(record: Record) -> dict[str, str]:
    timing = record["timing"]
    rounds = [len(one) for one in timing["blocks"]]
    per = f"{min(rounds)}" if min(rounds) == max(rounds) else f"{min(rounds)} to {max(rounds)}"
    return {
        "blocks": f"{len(rounds)} placements × {per} rounds, {timing['calls_per_block']:,} calls per block",
        "stop": STOPS.get(timing["stop"], timing["stop"]),
        "noise": of_case(record),
    }
