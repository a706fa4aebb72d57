"""Renders a comparison as one self-contained HTML page in the style of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.bench.record.words.case_names import short_names
from torchduet.reports.charts.changes_chart import ChangeRow, ChangesChart, changes_chart
from torchduet.reports.charts.model import MAX_ROWS
from torchduet.reports.compare import common_words, memory, quietness
from torchduet.reports.compare.comparison import VERDICTS, Change, Comparison
from torchduet.reports.compare.details import any_memory, embedded, last_cell, numbered, width
from torchduet.reports.compare.listed import moved, ordered, title_of
from torchduet.reports.compare.matrix import SYMBOLS, matrix, moved_anywhere, what_differs
from torchduet.reports.compare.profiles import explanations
from torchduet.reports.compare.reasons import in_words
from torchduet.reports.compare.settings import common_facts
from torchduet.reports.compare.text import (
    expectation,
    guard,
    headline,
    marks_of,
    no_verdict,
    noise_and_marks,
    sensitivity,
    visits,
    why_unclear,
)
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.text import units
from torchduet.reports.text.settings import FILTERS, filter_values

MAX_TABLE_ROWS = 400  # of all tables together; of more, only FIRST_ROWS are written and the script makes the others
FIRST_ROWS = 100
MAX_LISTED = 60  # in an answer
MAX_GAPS = 200
FEW_DRAWN, MANY_DRAWN = 16, 24  # rows of a chart that cannot hold all cases: at least and at most
TONES = {"slower": "no", "faster": "yes"}

SCRIPTS = ("elements.js", "compare.js", "case.js", "marks.js", "zoom.js", "report.js")


def render(comparisons: Sequence[Comparison], threshold: float) -> str:
    """The page on all comparisons with one base, as HTML.

    Args:
        threshold: the default threshold of cases.
    """
    numbers = numbered(comparisons)
    charts = [_chart(comparison, threshold, index, numbers) for index, comparison in enumerate(comparisons)]
    data = embedded(comparisons)
    base = comparisons[0].base
    lines = [line for line in matrix(comparisons) if line.measured] if len(comparisons) > 1 else []
    rows = len(lines) + sum(comparison.judged for comparison in comparisons)
    window = FIRST_ROWS if rows > MAX_TABLE_ROWS else 0
    templates = environment()
    templates.globals.update(
        symbols=SYMBOLS,
        noise_of=noise_and_marks,
        last_cell=last_cell,
        width=width,
        filter_values=filter_values,
        memory_of=memory.words,
        added_memory=memory.added,
    )
    facts = common_facts(base)
    return templates.get_template("compare.html.j2").render(
        base=base,
        title=_title(comparisons),
        **fixed(
            "elements.js",
            "compare.js",
            "case.js",
            "marks.js",
            "zoom.js",
            "report.js",
            styles=("run.css", "changes.css"),
        ),
        started=date(base.about["started"]),
        machine=" · ".join(f"PyTorch {value}" if name == "PyTorch" else value for name, value in facts.items()),
        entries=[
            _entry(comparison, index, chart, window)
            for index, (comparison, chart) in enumerate(zip(comparisons, charts, strict=True))
        ],
        lines=lines[:window] if window else lines,
        number_of_lines=len(lines),
        window=window,
        numbers=numbers,
        data=data,
        most_listed=MAX_LISTED,
        most_gaps=MAX_GAPS,
        choices=_choices(comparisons),
        any_memory=any_memory(comparisons),
        confidence=units.percent(CONFIDENCE),
        threshold=units.percent(threshold),
    )


def _title(comparisons: Sequence[Comparison]) -> str:
    """The answer; of several runs, in how many cases any of them differs from the base."""
    if len(comparisons) == 1:
        return headline(comparisons[0])
    lines = matrix(comparisons)
    moved_lines = [line for line in lines if line.moved]
    return f"{len(comparisons)} runs against {comparisons[0].base.name}: {moved_anywhere(moved_lines, lines)}"


def _entry(comparison: Comparison, index: int, chart: ChangesChart | None, window: int) -> dict[str, Any]:
    counts = Counter(change.verdict for change in comparison.changes)
    return {
        "comparison": comparison,
        "anchor": f"run-{index + 1}",
        "tone": _tone(comparison, counts),
        "started": date(comparison.new.about["started"]),
        "counts": [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]],
        "headline": headline(comparison),
        "common": common_words.sentence(comparison),
        "blind": no_verdict(comparison),
        "unclear": "" if comparison.blind else _unclear(comparison),
        "noise": " ".join(quietness.of_runs(comparison)),
        "visits": visits(comparison),
        "guard": guard(comparison),
        "expectation": expectation(comparison),
        "memory": memory.sentence(comparison),
        "moved": [(title_of(group), rows, _memory_column(group, rows)) for group, rows in moved(comparison).items()],
        "memory_alone": "memory alone" in moved(comparison),
        "explanations": explanations(comparison),
        "chart": chart,
        "rows": ordered(comparison)[: window or None],
        "differs": what_differs(comparison),
        "gaps": [
            (title_of(verdict), rows) for verdict in ("failed", "missing", "new") if (rows := comparison.of(verdict))
        ],
    }


def _memory_column(group: str, rows: Sequence[Change]) -> str:
    """Where a table of a group has the column of peak memory: ``first`` if it is the answer, ``last``, or nowhere."""
    if group == "memory alone":
        return "first"
    return "last" if any(map(memory.words, rows)) else ""


def _unclear(comparison: Comparison) -> str:
    """How many cases are unclear for each cause, and which slow-downs would be shown."""
    reasons = why_unclear(comparison)
    return " ".join(filter(None, (f"Unclear: {'; '.join(reasons)}." if reasons else "", sensitivity(comparison))))


def _tone(comparison: Comparison, counts: Counter[str]) -> str:
    """The colour of an answer: that of its gravest verdict, or of a whole run that took longer."""
    if comparison.common and comparison.common.slower and not comparison.common.by_machine:
        return TONES["slower"]
    tones = (tone for verdict, tone in TONES.items() if counts[verdict])
    return next(tones, "same" if counts["same"] else "unclear")


def _drawn(comparison: Comparison) -> list[Change]:
    """The rows of the forest plot: all cases; of too many, those that changed and the largest shifts of the others."""
    changes = ordered(comparison)
    changed = sum(change.verdict in TONES for change in changes)
    return changes[: MAX_ROWS if len(changes) <= MAX_ROWS else min(max(changed, FEW_DRAWN), MANY_DRAWN)]


def _chart(comparison: Comparison, threshold: float, index: int, numbers: Mapping[str, int]) -> ChangesChart | None:
    """The chart of a comparison; None without a case."""
    drawn = _drawn(comparison)
    names = short_names([change.case["id"] for change in comparison.changes if change.time])
    rows = [
        ChangeRow(
            names[change.case["id"]],
            change.case["id"],
            units.seconds(change.base["timing"]["seconds"]),
            units.seconds(change.new["timing"]["seconds"]),
            change.time.ratio,
            change.time.low,
            change.time.high,
            change.verdict,
            in_words(change),
            opens=f"{index}:{numbers[change.case['id']]}",
            marks=marks_of(change),
        )
        for change in drawn
        if change.time and change.base and change.new
    ]
    return changes_chart(rows, threshold) if rows else None


def _choices(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    """The values that the tables can be filtered by; empty without a case in any."""
    judged = [change for comparison in comparisons for change in comparison.changes if change.time]
    cases = [filter_values(change.case) for change in judged]
    choices = {name: [value for value in dict.fromkeys(case[name] for case in cases) if value] for name in FILTERS}
    verdicts = {change.verdict for change in judged}
    choices["verdict"] = [verdict for verdict in VERDICTS if verdict in verdicts]
    return choices if judged else {}
