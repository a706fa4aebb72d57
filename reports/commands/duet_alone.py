"""Shows the result of a duet for ``torchduet compare DUET``: a duet holds its own two sides."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.bench.record.duets.words import controls, factor_table, headline, memory_lines, stages
from torchduet.reports.read.run_file import Run
from torchduet.reports.text.escaping import plain


def is_duet(run: Run) -> bool:
    """Whether a run timed two sides in alternation."""
    return "against" in run.about


def terminal(run: Run, *, verbose: bool = False) -> str:
    """The answer, a line per case, what the verdicts rest on, and the cases whose peak memory has changed.

    Args:
        verbose: list every case; else the first, by verdict.
    """
    return "\n".join(map(plain, _lines(run, verbose)))


def _lines(run: Run, verbose: bool) -> Iterator[str]:
    duet = run.about["against"]
    yield f"{run.name}: {headline(duet, run.records)}"
    measured = [record for record in run.records if "against" in record]
    if not measured:
        return
    yield ""
    yield from factor_table(duet, measured, len(measured)) if verbose else factor_table(duet, measured)
    yield ""
    yield stages(duet, measured)
    yield from memory_lines(duet, measured)
    yield from controls(measured)
