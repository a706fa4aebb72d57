"""Writes which machine is for what as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.reports.machines import overview
from torchduet.reports.machines.comparison import Comparison
from torchduet.reports.machines.sentences import answers, headline
from torchduet.reports.text.escaping import plain, short

MAX_LISTED = 8  # comparisons on which machines disagree


def terminal(of: Comparison) -> str:
    """The answers, the machines, how far each is from the fastest, and where knobs differ."""
    return "\n".join(_lines(of)).rstrip()


def _lines(of: Comparison) -> Iterator[str]:
    yield plain(headline(of))
    if of.disturbed:
        yield plain(f"! {of.disturbed}")
    for answer in answers(of):
        yield plain(f"  {answer.title}: {' '.join(answer.sentences).replace('`', '')}")
    for table, under in (
        (overview.machines(of), ""),
        (overview.distances(of), "Time over that of the fastest machine"),
        (overview.knobs(of), "Which knobs pay on which machine"),
    ):
        if table is not None:
            yield ""
            if under:
                yield under
            yield from aligned(*table)
    if opposite := overview.opposites(of):
        yield ""
        yield "Faster on one machine and slower on another"
        for line in opposite[:MAX_LISTED]:
            yield plain(f"  {short(line.work)}: {line.title.replace('`', '')}: {overview.effects(line, of)}")
        if (more := len(opposite) - MAX_LISTED) > 0:
            yield f"  and {more:,} more, in the page"
    if others := [caution for caution in of.cautions if caution != of.disturbed]:
        yield ""
        yield from (plain(f"! {caution}") for caution in others)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows under their head; the first column to the left, the others to the right."""
    texts = [[plain(short(text)) for text in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for first, *others in texts:
        cells = [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(["", *cells]).rstrip()
