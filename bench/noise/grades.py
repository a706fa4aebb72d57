"""The noise of cases and of a run for the record: the grade, the causes, and what would help.

Pure functions: they return new records and change none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torchduet.bench.noise.causes import SPEED, Cause, causes, changed, grade_of, worst_first
from torchduet.bench.noise.drift import pilots_change
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.over_visits import OverVisits, over_visits
from torchduet.bench.noise.remedies import QUIETER_MACHINE
from torchduet.bench.noise.withheld import one_side_preempted, preempted, with_verdicts_withheld
from torchduet.bench.record.schema import DISTURBED, GRADES, NOISY, QUIET, Grade, NoiseRecord, PilotRecord, Record
from torchduet.bench.record.telemetry import Telemetry, Timed

MIN_SHARE = 0.2  # of the families that must reach a grade for the run to have it


@dataclass(frozen=True)
class Graded:
    """A run's noise, and its cases' records with their noise.

    Attributes:
        records: case id → record, in the order in which they were given.
        noise: of the run; None where nothing was measured of the machine.
    """

    records: Mapping[str, Record]
    noise: NoiseRecord | None


def noise_of(
    families: Sequence[Timed],
    records: Mapping[str, Record],
    pilots: Sequence[PilotRecord],
    threads: int,
    cores: int,
    sure_visits: float = math.inf,
) -> Graded:
    """The noise of a run and of each of its cases, from all that was measured so far.

    A family's verdicts are withheld where the figures allow none. Later pilots may change that: grade the records as
    they were measured again, not the records that this returns.

    Args:
        families: the figures of each visit.
        records: case id → record, without its noise.
        threads, cores: threads of the run, and cores that it may use.
        sure_visits: with so many visits no verdict of a run with one thread is withheld: which side waits longer for a
            core changes from process to process, and is in the interval.
    """
    of_cases = dict(records)
    of_families = []
    for visited in over_visits(families):
        family, change = visited.timed, visited.pilots_change(pilots)
        at_once = family.threads or threads
        figures = Figures(
            *(at_once, cores, family.telemetry),
            pilots=change,
            drift=family.drift,
            gpu=family.gpu,
            ranks=family.threads is not None,
        )
        on_gpu = {device: _on_gpu(figures, visited, pilots, {device}) for device in {*family.devices.values()}}
        whole = (
            _on_gpu(figures, visited, pilots, {*on_gpu}) if len(on_gpu) > 1 else next(iter(on_gpu.values()), figures)
        )
        of_family = whole.with_context_switches(family.whole)
        each = {
            case: on_gpu.get(family.devices.get(case, ""), figures).with_context_switches(switches)
            for case, switches in family.each.items()
        }
        reasons = (withheld(family, threads, cores), preempted(of_family), one_side_preempted(each.values()))
        why = None if family.left_open else next(filter(None, reasons), None)
        for case, of_case in each.items():
            if case in records:
                sure = at_once == 1 and len(records[case]["timing"].get("visits", [])) >= sure_visits
                record = records[case] if why is None or sure else with_verdicts_withheld(records[case], why)
                of_cases[case] = {**record, "noise": case_record(causes(of_case), of_case)}
        of_families.append(causes(of_family))
    telemetry = [family.telemetry for family in families]
    return Graded(of_cases, run_record(of_families, pilots_change(pilots), means(telemetry)) if families else None)


def _on_gpu(figures: Figures, visited: OverVisits, pilots: Sequence[PilotRecord], devices: set[str]) -> Figures:
    """A family's figures with those of its GPUs."""
    used = {device: share for device in devices if (share := visited.used_by_others(pilots, device)) is not None}
    return replace(figures, gpu_pilots=visited.pilots_change(pilots, devices), used_by_others=used)


def withheld(family: Timed, threads: int, cores: int) -> Cause | None:
    """Why a family's verdicts are withheld, from its telemetry alone, without any pilots; None where they are not."""
    figures = Figures(family.threads or threads, cores, family.telemetry, ranks=family.threads is not None)
    return preempted(figures.with_context_switches(family.whole))


def case_record(ordered: Sequence[Cause], figures: Figures) -> NoiseRecord:
    """A case's noise for its record, from its causes, the worst first."""
    grade = ordered[0].grade if ordered else QUIET
    return NoiseRecord(grade=grade, causes=[cause.words for cause in ordered], figures=figures.known())


def run_record(
    families: Sequence[Sequence[Cause]], change: float | None, means: Mapping[str, float] | None = None
) -> NoiseRecord:
    """The noise of a run: the grade that a fifth of its families reach, each cause at its worst, and what would help.

    Args:
        families: the causes of each family that was timed, the worst first.
        change: how much slower the run's slowest pilot was than its fastest (0.35: 35 %).
        means: figures of the machine over all families.
    """
    grades = [family[0].grade if family else QUIET for family in families]
    grade: Grade = QUIET
    for candidate in (DISTURBED, NOISY):
        reached = sum(GRADES.index(own) >= GRADES.index(candidate) for own in grades)
        if grades and reached >= max(1.0, MIN_SHARE * len(grades)):
            grade = candidate
            break
    if change is not None:
        grade = max(grade, min(grade_of(change, SPEED), NOISY, key=GRADES.index), key=GRADES.index)
    worst: dict[str, Cause] = {}
    for cause in sorted((cause for family in families for cause in family), key=lambda cause: -cause.size):
        worst.setdefault(cause.kind, cause)
    ordered = worst_first(worst.values())
    words = [cause.words + _where(families, cause.kind) for cause in ordered]
    if change is not None and change >= SPEED[0]:
        words.append(changed("the pilots' times changed by", change, "a pilot", "over the run"))
    record = NoiseRecord(grade=grade, causes=words)
    figures = {**(means or {}), **({} if change is None else {"pilots": change})}
    if figures:
        record["figures"] = {name: float(f"{value:.3g}") for name, value in figures.items()}
    if grade != QUIET:
        remedies: dict[str, str] = {}
        for cause in ordered:
            remedies.setdefault(*cause.remedy)
        record["remedy"] = "; ".join(remedies.values()) or QUIETER_MACHINE.words
    return record


def _where(families: Sequence[Sequence[Cause]], kind: str) -> str:
    """In how many of a run's families a cause held: ``" (at worst; in 5 of 17 families)"``."""
    number, hit = len(families), sum(any(cause.kind == kind for cause in family) for family in families)
    return "" if number == 1 else f" (at worst; in {'all' if hit == number else f'{hit} of'} {number} families)"


def means(telemetry: Sequence[Telemetry]) -> dict[str, float]:
    """Load by others (cores), steal and throttling by a quota (shares), each the mean over the time it is known for."""
    averages = {}
    for name in ("others", "steal", "stopped"):
        known = [(value, family.seconds) for family in telemetry if (value := getattr(family, name)) is not None]
        if known:
            averages[name] = sum(value * seconds for value, seconds in known) / sum(seconds for _, seconds in known)
    return averages
