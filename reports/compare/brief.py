"""A comparison in brief, as Markdown for a comment on a change or a CI job's summary page: at most 60 lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.reports.compare import quietness
from torchduet.reports.compare.match import Change, Comparison
from torchduet.reports.compare.matrix import cell_of, matrix, what_differs
from torchduet.reports.compare.text import (
    HEAD,
    expectation,
    guard,
    headline,
    moved_anywhere,
    row_of,
    speedups_moved,
    tally,
    why_unclear,
)
from torchduet.reports.text.escaping import cell

MAX_LINES = 60
ROWS = (40, 30, 20, 14, 10, 6, 4, 2, 1)  # of a table; the most with which all fits
LEGEND = "Base / new: how many times as fast (above 1× is faster), with its 99 % interval. Speed-up: what became of it."
ELSEWHERE = "the page says all (`-o compare.html`)"


def markdown(comparisons: Sequence[Comparison]) -> str:
    """The answer, what changed, and folded what else there is to know; tables as long as 60 lines allow."""
    for tier in (_lines, _matrix_and_answers):
        for most in ROWS:
            lines = list(tier(comparisons, most))
            if len(lines) <= MAX_LINES:
                return "\n".join(lines) + "\n"
    return "\n".join(_answers(comparisons)) + "\n"


def _matrix_and_answers(comparisons: Sequence[Comparison], most: int) -> Iterator[str]:
    """For several runs that differ in much: the matrix, and a line for each."""
    yield from _side_by_side(comparisons, most)
    for one in comparisons:
        yield f"- {cell(one.new.name)}: {cell(headline(one))} ({tally(one)})"
        yield from (f"  - {cell(caution)}" for caution in one.cautions)
    yield ""
    yield f"- {cell(LEGEND)}"
    yield f"- {cell(expectation(comparisons[0]))}"


def _lines(comparisons: Sequence[Comparison], most: int) -> Iterator[str]:
    if len(comparisons) > 1:
        yield from _side_by_side(comparisons, most)
    for one in comparisons:
        yield from _one(one, most)
    yield "<details><summary>How this was judged</summary>"
    yield ""
    first = comparisons[0]
    quiet = dict.fromkeys(sentence for one in comparisons for sentence in quietness.of_runs(one))
    guards = dict.fromkeys(guard(one) for one in comparisons)
    for line in (LEGEND, *quiet, *guards, expectation(first)):
        yield f"- {cell(line)}"
    yield ""
    yield "</details>"


def _answers(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The answers alone, where runs are too many for more."""
    for one in comparisons[: MAX_LINES - 2]:
        yield f"- {cell(one.new.name)} against {cell(one.base.name)}: {cell(headline(one))}"
    if left := len(comparisons) - (MAX_LINES - 2):
        yield ""
        yield f"{max(left, 0)} more runs: {ELSEWHERE}."


def _side_by_side(comparisons: Sequence[Comparison], most: int) -> Iterator[str]:
    lines = matrix(comparisons)
    moved = [line for line in lines if line.moved]
    yield f"### {len(comparisons)} runs against {cell(comparisons[0].base.name)}: {moved_anywhere(moved, lines)}"
    yield ""
    heads = [f"{one.new.name} ({', '.join(what_differs(one))})" for one in comparisons]
    yield from _table(("Case", *heads), [(line.case["id"], *map(cell_of, line.changes)) for line in moved], most)


def _one(one: Comparison, most: int) -> Iterator[str]:
    yield f"### {cell(headline(one))}"
    yield ""
    yield f"{cell(one.new.name)} against {cell(one.base.name)}: {tally(one)}."
    yield ""
    for caution in one.cautions:
        yield f"> **Note:** {cell(caution)}"
        yield ""
    differences = [(two.name, two.base, two.new) for two in one.differences]
    yield from _table(("Differs", "Base", "New"), differences, most)
    moved = [*one.of("slower"), *one.of("faster"), *speedups_moved(one)]
    yield from _table(("Verdict", *HEAD), [(change.verdict, *row_of(change)) for change in moved], most)
    others = [change for verdict in ("failed", "missing", "new") for change in one.of(verdict)]
    yield from _table(("Verdict", "Case", "Why"), list(map(_reason, others)), most)
    if reasons := why_unclear(one):
        yield f"Unclear: {cell('; '.join(reasons))}."
        yield ""


def _reason(change: Change) -> tuple[str, str, str]:
    return change.verdict, change.case["id"], change.why


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> Iterator[str]:
    if not rows:
        return
    yield "| " + " | ".join(map(cell, head)) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows[:most]:
        yield "| " + " | ".join(cell(text) for text in row) + " |"
    yield ""
    if len(rows) > most:
        yield f"{len(rows) - most:,} more: {ELSEWHERE}."
        yield ""
