"""Reads one value per visit from the records of a run, and makes the questions on cases that both runs visited.

A visit is one process's measurement of a family. Processes and minutes differ more than the placements within one
visit show, so the visits, and not the placements, are the independent values (Kalibera and Jones 2013).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.moderation import Prior, Visits, difference, fit, prior_for
from torchduet.bench.record.schema import PriorOf, Record
from torchduet.bench.record.statistics import Interval, value_of
from torchduet.bench.record.visits.intervals import ratios_of
from torchduet.reports.read.run_file import Run
from torchduet.reports.shifts.leave_out import Array
from torchduet.reports.shifts.question import Question
from torchduet.reports.tables.visits import placements_by_visit, priors_of


@dataclass(frozen=True)
class VisitedRun:
    """The values per visit of a run's cases, as the run itself takes them; empty if its writer had no visits.

    Attributes:
        of: for times, case → per visit, the log of its time per call; for speed-ups, case → per visit, the log of its
            speed-up over the reference.
        recorded: what the run's own intervals are moderated by.
    """

    of: Mapping[PriorOf, Mapping[str, Visits]]
    recorded: Mapping[PriorOf, Prior]


def visited_run(run: Run, log_times: Mapping[str, Array], log_speedups: Mapping[str, Array]) -> VisitedRun:
    """The visits of a run.

    Args:
        log_times, log_speedups: case → one value per placement.
    """
    records = {record["case"]["id"]: record for record in run.records}
    bounds = {case: bounds for case in log_times if (bounds := _bounds(records[case]))}
    speedups = {}
    for case in bounds:
        if (recorded := _recorded(records[case], len(bounds[case]))) is not None:
            speedups[case] = recorded
        elif case in log_speedups:
            speedups[case] = _visits(log_speedups[case].tolist(), bounds[case])
    times = {case: _visits(log_times[case].tolist(), bounds[case]) for case in bounds}
    return VisitedRun({"times": times, "speedups": speedups}, priors_of(run))


@dataclass(frozen=True)
class Values:
    """The values of a run's cases, times or speed-ups, as logarithms.

    Attributes:
        placements: case → one value per placement.
        visits: case → one value per visit.
        prior: by what the variance between visits is moderated.
    """

    placements: Mapping[str, Array]
    visits: Mapping[str, Visits]
    prior: Prior | None


def values(
    of: PriorOf,
    runs: Sequence[VisitedRun],
    placements: Sequence[Mapping[str, Array]],
    unit_of: Mapping[str, str],
    *,
    alike: bool,
) -> tuple[Values, ...]:
    """The values of each of two runs.

    Args:
        placements: of each run, case → one value per placement.
        unit_of, alike: as for ``priors``.
    """
    moderated_by = priors(of, runs, unit_of, alike=alike)
    return tuple(
        Values(logs, run.of[of], prior) for logs, run, prior in zip(placements, runs, moderated_by, strict=True)
    )


def priors(
    of: PriorOf, runs: Sequence[VisitedRun], unit_of: Mapping[str, str], *, alike: bool
) -> tuple[Prior | None, ...]:
    """By what the variances between the visits of each of two runs are moderated.

    By what moderates the run's own intervals: its families, or earlier runs on the machine. If a verdict of the run is
    withheld, by its other families. A run of too few families takes what the families of the other run show, if both
    were made on the same machine.

    Args:
        unit_of: case → its family; without the cases that are not judged.
        alike: whether both runs were made on the same machine with the same settings.
    """
    found = [_own(of, run, unit_of) for run in runs]
    rest = [prior if alike else None for prior in reversed(found)]
    return tuple(
        own or prior_for(of, _named(run.of[of], unit_of), other) if run.of[of] else None
        for run, own, other in zip(runs, found, rest, strict=True)
    )


def _own(of: PriorOf, run: VisitedRun, unit_of: Mapping[str, str]) -> Prior | None:
    """What a run's families or earlier runs on the machine show; None if neither does."""
    recorded = run.recorded.get(of)
    if recorded is not None and (recorded.source == "machine" or run.of[of].keys() <= unit_of.keys()):
        return recorded if recorded.source != "typical" else None
    return fit(_named(run.of[of], unit_of))


def _named(cases: Mapping[str, Visits], unit_of: Mapping[str, str]) -> list[tuple[str, Visits]]:
    return [(unit_of[case], visits) for case, visits in cases.items() if case in unit_of]


def visits_of_families(run: Run) -> dict[str, list[float]]:
    """Family → when each of its visits began, in seconds into the run: those of the case with the most."""
    moments: dict[str, list[float]] = {}
    for record in run.records:
        own = [visit["at"] for visit in record["timing"].get("visits", [])]
        family = record["case"]["family"]
        if len(own) > len(moments.get(family, [])):
            moments[family] = own
    return moments


def visited_questions(
    units: Sequence[str],
    above: Sequence[Visits],
    below: Sequence[Visits],
    moderated_by: Sequence[Prior | None],
    thresholds: Sequence[float],
) -> list[Question]:
    """By how much each of ``above`` lies above its ``below``, from the means of their visits.

    The machine's movement is not filled in yet.

    Args:
        moderated_by: the priors of ``above`` and of ``below``.
    """
    asked = []
    prior, other = moderated_by
    for unit, first, second, threshold in zip(units, above, below, thresholds, strict=True):
        estimate = difference(first, second, prior, other)
        shift = Interval(estimate.point, estimate.low, estimate.high)
        asked.append(Question(unit, shift, threshold, visits=estimate))
    return asked


def _bounds(record: Record) -> list[tuple[int, int]]:
    """The first placement of each visit and the one after its last; empty without visits."""
    return list(itertools.pairwise(itertools.accumulate(placements_by_visit(record), initial=0)))


def _visits(values: Sequence[float], bounds: Sequence[tuple[int, int]]) -> Visits:
    """Each visit's own estimate from its placements, with its standard error."""
    points, errors = zip(*(value_of(values[start:end]) for start, end in bounds), strict=True)
    return Visits(points, errors)


def _recorded(record: Record, visits: int) -> Visits | None:
    """The speed-up over the reference in each visit, as the run recorded it; None if it did not."""
    speedup = next((speedup for speedup in record["speedups"] if speedup["knob"] == "reference"), None)
    if speedup is None or len(speedup.get("visit_ratios", [])) != visits:
        return None
    if len(speedup.get("visit_errors", [])) == visits:
        return ratios_of(speedup)
    return Visits(tuple(map(math.log, speedup["visit_ratios"])), (None,) * visits)
