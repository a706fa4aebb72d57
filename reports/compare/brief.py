"""Writes a comparison as Markdown of at most 60 lines, for a comment on a change or a CI job's summary page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.reports.compare import common_words, memory, quietness
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.compare.listed import moved, still
from torchduet.reports.compare.matrix import cell_of, matrix, moved_anywhere, what_differs
from torchduet.reports.compare.profiles import Explanation, on_gpus
from torchduet.reports.compare.text import (
    STILL_HEAD,
    expectation,
    guard,
    headline,
    no_verdict,
    sensitivity,
    still_row,
    table_of,
    tally,
    visits,
    why_unclear,
)
from torchduet.reports.compare.unmatched import by_reason
from torchduet.reports.text.escaping import cell, inline

MAX_LINES = 60
ROWS = (40, 30, 20, 14, 10, 6, 4, 2, 1)  # of a table; the first with which everything fits is used
LEGEND = "Base / new: how many times as fast (above 1× is faster), with its 99 % interval. Speed-up: how it changed."
ELSEWHERE = "the page lists all (`-o compare.html`)"


def markdown(comparisons: Sequence[Comparison]) -> str:
    """The answer, the changes, and, folded, how they were judged; tables are as long as 60 lines allow."""
    of_kernels = [on_gpus(comparison) for comparison in comparisons]
    for most in ROWS:
        lines = list(_full(comparisons, most, of_kernels))
        if len(lines) <= MAX_LINES:
            return "\n".join(lines) + "\n"
    for most in ROWS:
        lines = list(_matrix_and_answers(comparisons, most))
        if len(lines) <= MAX_LINES:
            return "\n".join(lines) + "\n"
    return "\n".join(_answers(comparisons)) + "\n"


def _matrix_and_answers(comparisons: Sequence[Comparison], most: int) -> Iterator[str]:
    """The matrix and a line for each run: for several runs that differ too much for their tables to fit."""
    yield from _side_by_side(comparisons, most)
    for comparison in comparisons:
        yield f"- {inline(comparison.new.name)}: {inline(headline(comparison))} ({tally(comparison)})"
        yield from (f"  - {inline(caution)}" for caution in comparison.cautions)
    yield ""
    yield f"- {inline(LEGEND)}"
    yield f"- {inline(expectation(comparisons[0]))}"


def _full(comparisons: Sequence[Comparison], most: int, of_kernels: Sequence[Sequence[Explanation]]) -> Iterator[str]:
    if len(comparisons) > 1:
        yield from _side_by_side(comparisons, most)
    for comparison, explanations in zip(comparisons, of_kernels, strict=True):
        yield from _section(comparison, most)
        yield from (f"- {inline(one.case['id'])}: {inline(' '.join(one.sentences))}" for one in explanations[:most])
        if explanations:
            yield ""
    yield "<details><summary>How this was judged</summary>"
    yield ""
    noise = dict.fromkeys(sentence for comparison in comparisons for sentence in quietness.of_runs(comparison))
    rest_on = dict.fromkeys(filter(None, map(visits, comparisons)))
    guards = dict.fromkeys(guard(comparison) for comparison in comparisons)
    needs = dict.fromkeys(filter(None, map(memory.sentence, comparisons)))
    for line in (LEGEND, *needs, *noise, *rest_on, *guards, expectation(comparisons[0])):
        yield f"- {inline(line)}"
    yield ""
    yield "</details>"


def _answers(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The answers only, for too many runs for anything else."""
    for comparison in comparisons[: MAX_LINES - 2]:
        yield f"- {inline(comparison.new.name)} against {inline(comparison.base.name)}: {inline(headline(comparison))}"
    if left := len(comparisons) - (MAX_LINES - 2):
        yield ""
        yield f"{max(left, 0)} more run{'s' * (left != 1)}: {ELSEWHERE}."


def _side_by_side(comparisons: Sequence[Comparison], most: int) -> Iterator[str]:
    lines = matrix(comparisons)
    shown = [line for line in lines if line.moved]
    yield f"### {len(comparisons)} runs against {inline(comparisons[0].base.name)}: {moved_anywhere(shown, lines)}"
    yield ""
    heads = [f"{comparison.new.name} ({', '.join(what_differs(comparison))})" for comparison in comparisons]
    yield from _table(("Case", *heads), [(line.case["id"], *map(cell_of, line.changes)) for line in shown], most)


def _section(comparison: Comparison, most: int) -> Iterator[str]:
    yield f"### {inline(headline(comparison))}"
    yield ""
    if comparison.common:
        yield f"**{inline(common_words.sentence(comparison))}**"
        yield ""
    yield f"{inline(comparison.new.name)} against {inline(comparison.base.name)}: {tally(comparison)}."
    yield ""
    for caution in comparison.cautions:
        yield f"> **Note:** {inline(caution)}"
        yield ""
    differences = [(difference.name, difference.base, difference.new) for difference in comparison.differences]
    yield from _table(("Differs", "Base", "New"), differences, most)
    changes = [change for group in moved(comparison).values() for change in group]
    head, rows = table_of(changes)
    yield from _table(
        ("Verdict", *head), [(change.verdict, *row) for change, row in zip(changes, rows, strict=True)], most
    )
    rest = [change for group in still(comparison).values() for change in group]
    yield from _table(("Verdict", *STILL_HEAD), [(change.verdict, *still_row(change)) for change in rest], most)
    unmatched = [(change.verdict, change.case["id"], change.why) for change in comparison.of("failed")]
    unmatched += [row for verdict in ("missing", "new") for row in _reasons(verdict, comparison.of(verdict))]
    yield from _table(("Verdict", "Case", "Why"), unmatched, most)
    if sentence := no_verdict(comparison):
        yield inline(sentence)
        yield ""
    elif reasons := why_unclear(comparison):
        yield inline(" ".join(filter(None, (f"Unclear: {'; '.join(reasons)}.", sensitivity(comparison)))))
        yield ""


def _reasons(verdict: str, changes: Sequence[Change]) -> Iterator[tuple[str, str, str]]:
    """A row for each reason why cases are in one run only."""
    for why, group in by_reason(changes).items():
        yield verdict, group[0].case["id"] if len(group) == 1 else f"{len(group)} cases", why


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
