"""Writes which machine is for what as Markdown of at most 60 lines, for a CI job's summary page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.reports.compare.thresholds import DEFAULT
from torchduet.reports.machines import overview
from torchduet.reports.machines.comparison import Comparison
from torchduet.reports.machines.sentences import answers, headline
from torchduet.reports.text import units
from torchduet.reports.text.escaping import cell, inline

MAX_LINES = 60
ROWS = (20, 14, 10, 7, 5, 3, 2, 1, 0)  # of a table; the first with which everything fits is used
ELSEWHERE = "the page lists all (`-o machines.html`)"


def markdown(of: Comparison) -> str:
    """The answers first, then tables as long as 60 lines allow."""
    lines: list[str] = []
    for most in ROWS:
        lines = list(_lines(of, most))
        if len(lines) <= MAX_LINES:
            break
    return "\n".join(lines[:MAX_LINES]) + "\n"


def _lines(of: Comparison, most: int) -> Iterator[str]:
    yield f"### {inline(headline(of))}"
    yield ""
    if of.disturbed:
        yield f"> {inline(of.disturbed)}"
        yield ""
    for answer in answers(of):
        yield f"- **{answer.title}.** {inline(' '.join(answer.sentences))}"
    yield ""
    yield from _table(overview.machines(of), most)
    if table := overview.distances(of):
        yield f"Time over that of the fastest machine (★ is surely nearest, by more than {units.percent(DEFAULT)}):"
        yield ""
        yield from _table(table, most)
    if table := overview.knobs(of):
        yield from _table(table, most)
    if opposite := overview.opposites(of):
        yield "Faster on one machine and slower on another:"
        yield ""
        for line in opposite[:most]:
            yield f"- {inline(line.work)}: {inline(line.title)}: {inline(overview.effects(line, of))}"
        if len(opposite) > most:
            yield f"- {len(opposite) - most:,} more: {ELSEWHERE}"
        yield ""
    for caution in of.cautions:
        if caution != of.disturbed:
            yield f"> {inline(caution)}"


def _table(table: overview.Table, most: int) -> Iterator[str]:
    head, rows = table
    if most:
        yield _row(head)
        yield "|" + " --- |" * len(head)
        yield from map(_row, rows[:most])
        yield ""
    if len(rows) > most:
        yield f"{len(rows) - most:,} more: {ELSEWHERE}."
        yield ""


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(map(cell, texts)) + " |"
