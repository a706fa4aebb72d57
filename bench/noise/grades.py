"""The noise of a case and of a whole run as it stands in the record: its grade, its causes, and what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchduet.bench.noise.causes import MOVED, Cause, Figures, graded, times, worst_first
from torchduet.bench.noise.remedies import ELSEWHERE
from torchduet.bench.record.schema import DISTURBED, GRADES, NOISY, QUIET, NoiseRecord

AMONG = 0.2  # share of the families from which on the run as a whole is called so


def case_record(found: Sequence[Cause], figures: Figures) -> NoiseRecord:
    """A case's noise as it stands in its record."""
    grade = found[0].grade if found else QUIET
    return NoiseRecord(grade=grade, causes=[cause.words for cause in found], figures=figures.known())


def run_record(
    families: Sequence[Sequence[Cause]], moved: float | None, means: Mapping[str, float] | None = None
) -> NoiseRecord:
    """The noise of a run: the grade that a fifth of its families reach, each cause at its worst, and what would help.

    Args:
        families: the causes of each family that was timed.
        moved: how much slower the run's slowest pilots were than its fastest.
        means: figures of the machine over all families.
    """
    grades = [each[0].grade if each else QUIET for each in families]
    grade = QUIET
    for candidate in (DISTURBED, NOISY):
        reached = sum(GRADES.index(one) >= GRADES.index(candidate) for one in grades)
        if grades and reached >= max(1.0, AMONG * len(grades)):
            grade = candidate
            break
    if moved is not None:
        grade = max(grade, min(graded(moved, MOVED), NOISY, key=GRADES.index), key=GRADES.index)
    worst: dict[str, Cause] = {}
    for cause in sorted((cause for each in families for cause in each), key=lambda cause: -cause.size):
        worst.setdefault(cause.kind, cause)
    ordered = worst_first(worst.values())
    words = [cause.words + _where(families, cause.kind) for cause in ordered]
    if moved is not None and moved >= MOVED[0]:
        words.append(f"the pilots moved by {times(moved)} over the run")
    record = NoiseRecord(grade=grade, causes=words)
    figures = {**(means or {}), **({} if moved is None else {"pilots": moved})}
    if figures:
        record["figures"] = {name: float(f"{value:.3g}") for name, value in figures.items()}
    if grade != QUIET:
        remedies: dict[str, str] = {}
        for cause in ordered:
            remedies.setdefault(*cause.remedy)
        record["remedy"] = "; ".join(remedies.values()) or ELSEWHERE.words
    return record


def _where(families: Sequence[Sequence[Cause]], kind: str) -> str:
    """In how many of a run's families a cause was seen: ``" (at worst; in 5 of 17 families)"``."""
    number, hit = len(families), sum(any(cause.kind == kind for cause in each) for each in families)
    return "" if number == 1 else f" (at worst; in {'all' if hit == number else f'{hit} of'} {number} families)"
