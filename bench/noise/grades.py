"""The noise of a case and of a whole run as it stands in the record: its grade, its causes, and what would help.

Pure: no record is changed, new ones are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.noise.causes import MOVED, Cause, causes, graded, times, worst_first
from torchduet.bench.noise.drift import around, pilots_moved
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.remedies import ELSEWHERE
from torchduet.bench.noise.withheld import left_open, preempted
from torchduet.bench.record.schema import DISTURBED, GRADES, NOISY, QUIET, Grade, NoiseRecord, PilotRecord, Record
from torchduet.bench.record.telemetry import Telemetry, Timed

AMONG = 0.2  # share of the families from which on the run as a whole is called so


@dataclass(frozen=True)
class Graded:
    """A run's noise, and its cases' records with theirs.

    Attributes:
        records: case id → record, in the order in which they were given.
        noise: of the run; None where nothing is known of the machine.
    """

    records: Mapping[str, Record]
    noise: NoiseRecord | None


def noise_of(
    families: Sequence[Timed], records: Mapping[str, Record], pilots: Sequence[PilotRecord], threads: int, cores: int
) -> Graded:
    """The noise of a run and of each of its cases, by all that is known so far.

    A family's verdicts are left open where the figures say that none can be given. More may be known of it later, as
    the pilots after it are: grade what was measured once more, not what this returns.

    Args:
        records: case id → record, without its noise.
        threads, cores: of the run, and those that it may use.
    """
    of_cases = dict(records)
    found = []
    for family in families:
        moved = pilots_moved(around(pilots, family.begun, family.ended))
        figures = Figures(threads, cores, family.telemetry, pilots=moved, drift=family.drift, gpu=family.gpu)
        whole = figures.with_interruptions(family.whole)
        why = None if family.left_open else withheld(family, threads, cores) or preempted(whole)
        for case, seen in family.each.items():
            if case in records:
                own = figures.with_interruptions(seen)
                record = records[case] if why is None else left_open(records[case], why)
                of_cases[case] = {**record, "noise": case_record(causes(own), own)}
        found.append(causes(whole))
    seen_of_all = [family.telemetry for family in families]
    return Graded(of_cases, run_record(found, pilots_moved(pilots), means(seen_of_all)) if families else None)


def withheld(family: Timed, threads: int, cores: int) -> Cause | None:
    """Why no verdict can be given of a family, by what is known as soon as it is timed; None where one can."""
    return preempted(Figures(threads, cores, family.telemetry).with_interruptions(family.whole))


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
    grade: Grade = QUIET
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


def means(seen: Sequence[Telemetry]) -> dict[str, float]:
    """Load by others (cores), steal and quota (shares), each the mean over the time for which it is known."""
    found = {}
    for name in ("others", "steal", "stopped"):
        known = [(value, one.seconds) for one in seen if (value := getattr(one, name)) is not None]
        if known:
            found[name] = sum(value * seconds for value, seconds in known) / sum(seconds for _, seconds in known)
    return found
