"""Gathers the data of the page's sections; presentation is left to the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from torchduet.bench.record.knobs import IMPLEMENTATION, KNOBS, Knob, code
from torchduet.bench.record.marks import FEW_PLACES, address_sets, marks
from torchduet.bench.record.schema import INTERPRETERS, Record
from torchduet.reports.charts.roofline import roofcharts
from torchduet.reports.findings import ablation, claim_words, meters
from torchduet.reports.findings.claims import judge
from torchduet.reports.findings.hand_off import HandOff, hand_offs
from torchduet.reports.findings.noise import of_case
from torchduet.reports.html.figures import path_chart
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import Frames, anchor, each
from torchduet.reports.tables.roofline import SOURCE, Bound, bounds
from torchduet.reports.tables.roofline import sentences as bound_sentences
from torchduet.reports.tables.visits import number_of_visits
from torchduet.reports.tables.withheld import disturbed
from torchduet.reports.text import units


@dataclass(frozen=True)
class Detail:
    """What the details of a case show: how it was timed, what bounds it, and how to call it alone."""

    anchor: str
    record: Record
    timing: dict[str, str]
    bound: Bound | None
    alone: list[HandOff]


STOPS = {
    "precise": "every interval was narrow enough",
    "budget": "the time budget was used up",
    "limit": "the limit of placements was reached",
    "interrupted": "the run was interrupted",
}
STOPS_OF_VISITS = {"limit": "the limit of visits was reached"}

PARTS = {
    "startup": "Starting up",
    "interpreters": "Starting fresh interpreters on both sides",
    "importing": "Importing the suite’s file",
    "starting": "Starting the GPU, in each process",
    "compiling": "Compiling (first calls)",
    "checking": "Checking results against float64",
    "warming": "Warming up and calibrating",
    "handing_over": "Handing over",
    "timed": "Timed blocks",
    "peak_memory": "Measuring peak memory",
    "warm_starting": "Starting compiled cases again in new processes",
    "profiling": "Profiling",
}


OF_DUET = {
    "checking": "Checking results against float64, on both sides",
    "warming": "Making inputs, first calls, warming up and calibrating",
    "handing_over": "Handing over to the other side, and warming up before a block",
    "timed": "Timed blocks of both sides",
}
OF_EARLIER_DUET = {
    "warming": "Beside the blocks: starting processes, first calls, checks, warming up, handing over",
    "timed": "Timed blocks of both sides",
}


def suites(run: Run, tables: Frames) -> list[dict[str, Any]]:
    """Per suite: its rows, the columns that they fill, and the table of its meters."""
    meters_of = {table.suite: table for table in meters.tables(run, tables)}
    entries = []
    for index, (name, rows) in enumerate(tables.cases.groupby("suite", sort=False)):
        knobs = [knob for knob in KNOBS if _is_shown(knob, rows, tables.cases)]
        varied = [knob for knob in knobs if knob.name == IMPLEMENTATION or rows[knob.name].nunique() > 1]
        units = sorted(set(rows["sample_unit"]) - {""})
        rates = [
            (key, label, scale)
            for key, label, scale in (
                ("flops_per_second", "GFLOP/s", 1e9),
                ("bytes_per_second", "GB/s", 1e9),
                ("samples_per_second", f"{units[0]}/s" if len(units) == 1 else "per second", 1.0),
            )
            if rows[key].notna().any()
        ]
        entries.append(
            {
                "name": name,
                "anchor": f"suite-{index + 1}",
                "rows": list(each(rows)),
                "settings": [_settings(row, [knob for knob in knobs if knob in varied]) for row in each(rows)],
                "common": ", ".join(_setting(next(each(rows)), knob) for knob in knobs if knob not in varied),
                "bounds": bool(rows["share_of_ceiling"].notna().any()),
                "meters": meters_of.get(str(name)),
                "rates": rates,
                "mixed": len(units) > 1,
            }
        )
    return entries


def _is_shown(knob: Knob, rows: pd.DataFrame, cases: pd.DataFrame) -> bool:
    """Whether a suite's table names a knob's settings: cases differ in it, or the knob has a reference value."""
    if knob.optional:
        return bool((rows[knob.name] != knob.absent).any())
    if knob.name == IMPLEMENTATION:
        return bool((rows.groupby("workload")[knob.name].nunique() > 1).any())
    return knob.reference is not None or bool(cases[knob.name].nunique() > 1)


def _settings(row: Any, knobs: Sequence[Knob]) -> str:
    """What distinguishes a case from others of its workload."""
    shown = [knob for knob in knobs if knob.name != IMPLEMENTATION or row.implementation != row.workload]
    return " · ".join(filter(None, (row.size.replace(",", ", "), *(_setting(row, knob) for knob in shown))))


def _setting(row: Any, knob: Knob) -> str:
    return knob.spoken(str(getattr(row, knob.name)))


def details(run: Run) -> list[tuple[str, list[Detail]]]:
    """The details of each case, per suite."""
    suites: dict[str, list[Detail]] = {}
    limits = bounds(run)
    for index, record in enumerate(run.records):
        suites.setdefault(record["case"]["suite"], []).append(
            Detail(
                anchor(index),
                record,
                _timing(record),
                limits.get(record["case"]["id"]),
                hand_offs(run.about, record),
            )
        )
    return list(suites.items())


def claims(run: Run) -> dict[str, Any] | None:
    """The claims that the run judged, in their order; None where it judged none: a suite of one's own has none.

    A duet compares each case with itself on the other side, and none with another case.
    """
    if not run.records or "against" in run.about:
        return None
    judged = judge(run)
    decided = [claim for claim in judged if claim.findings]
    if not decided:
        return None
    return {
        "judged": decided,
        "others": len(judged) - len(decided),
        "tones": {"holds": "yes", "fails": "no", "unclear": "unclear"},
        "words": claim_words,
        "counted": {
            verdict: sum(claim.verdict == verdict for claim in decided)
            for verdict in claim_words.VERDICTS
            if verdict != "unmeasured"
        },
        "counting": {
            "holds": ("holds", "hold"),
            "fails": ("does not hold", "do not hold"),
            "unclear": ("is unclear", "are unclear"),
        },
    }


def paths(run: Run) -> list[dict[str, Any]]:
    """Each path with its sentences, its chart, and the time that each step saved."""
    entries = []
    for path in ablation.paths(run):
        rows = []
        for index, step in enumerate(path.steps):
            saved = path.steps[index - 1].seconds - step.seconds if step.over_previous else None
            rows.append((step, "" if saved is None else f"{'−' if saved > 0 else '+'}{units.seconds(abs(saved))}"))
        entries.append({"path": path, "sentences": ablation.sentences(path), "chart": path_chart(path), "rows": rows})
    return entries


def ceilings(run: Run) -> dict[str, Any] | None:
    """Sentences and charts on the ceilings; None where the file has none, or no case has a known cost."""
    limits = bounds(run)
    if not limits:
        return None
    names = {record["case"]["id"]: record["case"]["id"] for record in run.records}
    return {
        "sentences": bound_sentences(limits, {name: code(name) for name in names}, disturbed=disturbed(run)),
        "charts": roofcharts(run, names, limits),
        "source": SOURCE,
    }


def parts(run: Run) -> list[tuple[str, float, float]]:
    """The run's time by activity: (activity, seconds, share of the total); the remainder comes last.

    Activities that took no time are left out.
    """
    seconds: Mapping[str, Any] = run.about["seconds"]
    total = max(float(seconds["total"]), 1e-9)
    words_of = PARTS
    if "against" in run.about:
        words_of = PARTS | (OF_DUET if INTERPRETERS in seconds else OF_EARLIER_DUET)
    parts = [(words, float(seconds[key])) for key, words in words_of.items() if seconds.get(key)]
    rest = total - sum(part for _, part in parts)
    if rest > 0:
        parts.append(("Everything else", rest))
    return [(words, part, min(1.0, part / total)) for words, part in parts]


def _timing(record: Record) -> dict[str, str]:
    timing = record["timing"]
    rounds = [len(blocks) for blocks in timing["blocks"]]
    per = f"{min(rounds)}" if min(rounds) == max(rounds) else f"{min(rounds)} to {max(rounds)}"
    number, calls = number_of_visits(record), timing["calls_per_block"]
    stop = STOPS.get(timing["stop"], timing["stop"])
    visits = f"{units.plural(number, 'visit')}, " if number else ""
    placements = f"{units.plural(len(rounds), 'placement')}"
    return {
        "blocks": f"{visits}{placements} × {per} rounds, {units.plural(calls, 'call')} per block",
        "stop": STOPS_OF_VISITS.get(timing["stop"], stop) if number else stop,
        "noise": of_case(record),
        "places": _places(record),
    }


def _places(record: Record) -> str:
    """At how many places in a device's memory the inputs lay, in words; empty where it is not known."""
    known = address_sets(record["timing"])
    if known is None:
        return ""
    sets, placements = known
    caution = f": {FEW_PLACES.words}" if FEW_PLACES in marks(record) else ""
    return f"{sets} of {placements} placements of its inputs had addresses of their own{caution}"
