"""The answer of a duet for the page: what is slower or faster on the new side, case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchduet.bench.record.duets import two_times
from torchduet.bench.record.duets.gate import has_too_few_pairs, judged, memory_of
from torchduet.bench.record.duets.sides import Sides, from_new, sides
from torchduet.bench.record.duets.words import controls, headline, memory_lines, ordered, stages, times_words
from torchduet.bench.record.marks import short_marks
from torchduet.bench.record.schema import AgainstRecord, Record, SideRecord
from torchduet.bench.record.words.case_names import short_names
from torchduet.reports.charts.changes_chart import ChangeRow, ChangesChart, changes_chart
from torchduet.reports.charts.model import MAX_ROWS
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.visits import priors_of
from torchduet.reports.text import units


@dataclass(frozen=True)
class BothSides:
    """A case of a duet.

    Attributes:
        result: the new side held against the base.
        details_of: the side whose first call, check and blocks its record has.
        why_they_differ: its times do not show its ratio, and why; else empty.
    """

    names: Sides
    result: AgainstRecord
    details_of: str
    why_they_differ: str


def sides_of_cases(run: Run) -> dict[str, BothSides]:
    """Case → its result on both sides; empty for a run of one side."""
    duet = run.about.get("against")
    if duet is None:
        return {}
    of = sides(duet)
    return {
        record["case"]["id"]: BothSides(
            of, record["against"], _details_of(of), two_times.WORDS if two_times.differ(record["against"]) else ""
        )
        for record in from_new(duet, run.records)
    }


def _details_of(of: Sides) -> str:
    """Side A, of which a record has the first call, the check and the blocks."""
    return f"the side with {of.knob}" if of.knob else of.base


def section(run: Run) -> dict[str, Any] | None:
    """The headline, both sides, a row per case and its chart; None for a run of one side."""
    duet = run.about.get("against")
    if duet is None:
        return None
    of = sides(duet)
    anchors = {record["case"]["id"]: anchor(index) for index, record in enumerate(run.records)}
    rows = ordered(from_new(duet, run.records))
    counted = judged(rows) or rows
    paths = of.base_side["python"] != of.new_side["python"]
    return {
        "headline": headline(duet, run.records),
        "stages": stages(duet, run.records),
        "spread": spread(run),
        "staged": any("pair_ratios" not in record["against"] for record in rows),
        "names": of,
        "sides": [
            ("base", of.base_side["label"], facts(of.base_side, path=paths)),
            ("new", of.new_side["label"], facts(of.new_side, path=paths)),
        ],
        "rows": rows,
        "of": {anchors[record["case"]["id"]]: record["against"] for record in rows},
        "differ": {anchors[record["case"]["id"]] for record in rows if two_times.differ(record["against"])},
        "sign": two_times.SIGN,
        "level": level,
        "why_they_differ": two_times.WORDS,
        "chart": chart(rows, duet["threshold"], anchors) if rows else None,
        "drawn": min(len(rows), MAX_ROWS),
        "memory": memory(rows),
        "controls": [*memory_lines(duet, run.records), *controls(rows)],
        "counted": len(counted),
        "details_of": _details_of(of),
        "tally": {
            verdict: sum(record["against"]["verdict"] == verdict for record in counted)
            for verdict in ("slower", "faster", "same", "unclear")
        },
    }


def memory(records: Sequence[Record]) -> dict[str, str]:
    """Case → its peak memory on both sides, where any is known; marked with a word where it has changed."""
    found: dict[str, str] = {}
    for record in records:
        against = record["against"]
        if (change := memory_of(against)) is not None:
            base, new = (units.size(against[key]) for key in ("base_peak_bytes", "peak_bytes"))
            found[record["case"]["id"]] = new if change == "same" else f"{base} → {new}, {change}"
    return found


def level(confidence: float) -> str:
    """A level of confidence with two digits of what it leaves: ``99 %``, ``99.75 %``, ``99.9967 %``."""
    left = 100 * (1 - confidence)
    places = max(0, 1 - math.floor(math.log10(left))) if 0 < left < 100 else 0
    text = f"{100 * confidence:.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def spread(run: Run) -> str:
    """How much the pairs of one case differ, and where that was taken from; empty for a file that does not say."""
    prior = priors_of(run).get("sides")
    if prior is None or prior.source == "typical":
        return ""
    families = f"{prior.families} famil{'y' if prior.families == 1 else 'ies'}"
    source = f"{families} of this run" if prior.source == "run" else f"earlier duets on this machine ({families})"
    return (
        f"Pairs of the same case differ by {units.percent(prior.deviation)} (standard deviation, beyond what differs "
        f"within a pair), as {source} show."
    )


def chart(records: Sequence[Record], threshold: float, anchors: Mapping[str, str]) -> ChangesChart:
    """Both sides' times and base time over new time, a row per case; only the first rows if there are too many."""
    names = short_names([record["case"]["id"] for record in records])
    rows = [
        ChangeRow(
            names[record["case"]["id"]],
            record["case"]["id"],
            units.seconds(against["base_seconds"]),
            units.seconds(against["seconds"]),
            against["ratio"],
            against["low"],
            against["high"],
            against["verdict"],
            in_words(against),
            anchor=anchors[record["case"]["id"]],
            marks=", ".join(filter(None, (*_marks(record), two_times.SIGN if two_times.differ(against) else ""))),
        )
        for record in records[:MAX_ROWS]
        for against in (record["against"],)
    ]
    return changes_chart(rows, threshold)


def _marks(record: Record) -> tuple[str, str]:
    return short_marks(record), "control" if record["against"].get("control") else ""


def in_words(against: AgainstRecord) -> str:
    """``takes 1.08 times as long``; of an unclear case why, and what to do."""
    if against["verdict"] in ("slower", "faster"):
        return times_words(against)
    if against["verdict"] == "same":
        return f"unchanged within ±{units.percent(against['threshold'])}"
    if has_too_few_pairs(against):
        return "too few pairs: longer --budget"
    return "varies too much: longer --budget"


def facts(side: SideRecord, *, path: bool = True) -> str:
    """A side in one line; ``path``: with that of its interpreter."""
    parts = [f"torch {side['torch']}", f"Python {side['python_version']}", *([side["python"]] if path else [])]
    parts += [f"{name}={value}" for name, value in {**side["env"], **side.get("settings", {})}.items()]
    if side["rev"]:
        parts.append(f"files as of {side['rev']}")
    elif commit := side.get("commit"):
        number = side.get("uncommitted", 0)
        changed = f" with {units.plural(number, 'changed file')}" if number else ""
        parts.append(f"files as they are, at {commit[:7]}{changed}")
    if modules := side.get("imported"):
        parts.append("imports " + ", ".join(f"{name} from {file}" for name, file in modules.items()))
    return " · ".join(parts)
