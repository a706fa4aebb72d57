"""Reads one value per visit from the records of a run, and makes the questions on cases that both runs visited.

A visit is one process's measurement of a family. Processes and minutes differ more than the placements within one
visit show, so the visits, and not the placements, are the independent values (Kalibera and Jones 2013).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, stdev

from torchduet.bench.record.moderation import Prior, Visits, difference, fit, prior_for
from torchduet.bench.record.schema import PriorOf, Record, SpeedupRecord
from torchduet.bench.record.statistics import Interval
from torchduet.reports.read.run_file import Run
from torchduet.reports.shifts.leave_out import Array
from torchduet.reports.shifts.question import Question

MEDIAN_ERROR = math.sqrt(math.pi / 2)  # standard error of a median over that of a mean, of many normal values


@dataclass(frozen=True)
class VisitedRun:
    """The values per visit of a run's cases; empty if its writer had no visits.

    Attributes:
        of: for times, case → per visit, the median of its placements' log medians; for speed-ups, case → per visit,
            the log of its speed-up over the reference.
        machine: what earlier runs on the machine taught, where the run's own estimates rest on that.
    """

    of: Mapping[PriorOf, Mapping[str, Visits]]
    machine: Mapping[PriorOf, Prior]


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
            speedups[case] = _medians(log_speedups[case].tolist(), bounds[case])
    times = {case: _medians(log_times[case].tolist(), bounds[case]) for case in bounds}
    return VisitedRun({"times": times, "speedups": speedups}, _machine(run))


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

    By those of the run's own families, else by what earlier runs on the machine taught. A run of too few families for
    that takes what the families of the other run show, if both were made on the same machine.

    Args:
        unit_of: case → its family; without the cases that are not judged.
        alike: whether both runs were made on the same machine with the same settings.
    """
    values = [[(unit_of[case], visits) for case, visits in run.of[of].items() if case in unit_of] for run in runs]
    others = [fit(own) if alike else None for own in reversed(values)]
    return tuple(
        prior_for(of, own, run.machine.get(of) or other) if own else None
        for run, own, other in zip(runs, values, others, strict=True)
    )


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


def number_of_visits(record: Record) -> int:
    """How many visits a case's times come from; 0 where its writer had none."""
    return len(_bounds(record))


def _bounds(record: Record) -> list[tuple[int, int]]:
    """The first placement of each visit and the one after its last; empty without visits, or if they do not add up."""
    bounds, start = [], 0
    for visit in record["timing"].get("visits", []):
        if visit["placements"]:
            bounds.append((start, start + visit["placements"]))
        start += visit["placements"]
    return bounds if start == len(record["timing"]["blocks"]) else []


def _medians(values: Sequence[float], bounds: Sequence[tuple[int, int]]) -> Visits:
    """Per visit the median of its placements, and its standard error, where there are two or more."""
    parts = [values[start:end] for start, end in bounds]
    errors = [MEDIAN_ERROR * stdev(part) / math.sqrt(len(part)) if len(part) > 1 else None for part in parts]
    return Visits(tuple(map(median, parts)), tuple(errors))


def _recorded(record: Record, visits: int) -> Visits | None:
    """The speed-up over the reference in each visit, as the run recorded it; None if it did not."""
    speedup: SpeedupRecord | None = next((one for one in record["speedups"] if one["knob"] == "reference"), None)
    if speedup is None or len(ratios := speedup.get("visit_ratios", [])) != visits:
        return None
    errors = speedup.get("visit_errors", [])
    return Visits(tuple(map(math.log, ratios)), tuple(errors) if len(errors) == len(ratios) else (None,) * len(ratios))


def _machine(run: Run) -> dict[PriorOf, Prior]:
    """What earlier runs on the machine taught, as far as the run's own estimates rest on that."""
    return {
        prior["of"]: Prior(
            prior["deviation"], math.inf if prior["degrees"] is None else prior["degrees"], prior["families"], "machine"
        )
        for prior in run.about.get("visits", {}).get("priors", [])
        if prior["source"] == "machine"
    }
