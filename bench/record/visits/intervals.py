"""The intervals and verdicts of all cases of a run, from each visit's own estimates.

The variance between visits of each family is moderated by that of the others, so that a case's interval is known only
together with all records of the run. Pure functions: they return new records and change none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, cast

from torchduet.bench.record.moderation import Estimate, Prior, Visits, estimate, prior_for
from torchduet.bench.record.proportions import minimum_effect
from torchduet.bench.record.schema import (
    DeviceSpeedupRecord,
    IntervalRecord,
    PriorOf,
    PriorRecord,
    Record,
    SpeedupRecord,
    StopReason,
    TrialRecord,
    VisitsRecord,
)
from torchduet.bench.record.statistics import side_of, value_of, wanted
from torchduet.bench.record.visits.sides import has_pairs, values_of, with_verdicts

COPY_THRESHOLD = 0.01  # of the verdicts on copies


@dataclass(frozen=True)
class Judged:
    """A run's records with their intervals, and what these rest on; ``visits`` is None where nothing was visited."""

    records: Mapping[str, Record]
    visits: VisitsRecord | None
    priors: Mapping[PriorOf, Prior]


def judged(records: Mapping[str, Record], machine: Mapping[PriorOf, Prior], stop: StopReason = "budget") -> Judged:
    """The records with intervals and verdicts from their visits; records by writers without visits stay as they are.

    Args:
        records: case id → record.
        machine: what earlier runs on the machine taught.
        stop: why the timing ended where an interval is not narrow enough.
    """
    visited = {name: record for name, record in records.items() if "visits" in record["timing"]}
    times = {name: times_of(record) for name, record in visited.items()}
    values = _comparisons(visited, times)
    found = {of: prior_for(of, named, machine.get(of)) for of, named in values.items() if named}
    priors = {of: prior for of, prior in found.items() if prior is not None}
    of_run = {name: _judged(record, times[name], priors, stop) for name, record in visited.items()}
    of_run |= with_verdicts(of_run, priors.get("sides"))
    return Judged({**records, **of_run}, _visits_record(list(visited.values()), priors), priors)


def comparisons_of(visited: Iterable[Record]) -> dict[PriorOf, list[tuple[str, Visits]]]:
    """What is moderated together: the family's name and the values by visit of each comparison, copy, time and duet."""
    records = {str(number): record for number, record in enumerate(visited)}
    return _comparisons(records, {name: times_of(record) for name, record in records.items()})


def _comparisons(visited: Mapping[str, Record], times: Mapping[str, Visits]) -> dict[PriorOf, list[tuple[str, Visits]]]:
    values: dict[PriorOf, list[tuple[str, Visits]]] = {"speedups": [], "copies": [], "times": [], "sides": []}
    of_device: list[tuple[str, Visits]] = []
    for name, record in visited.items():
        family = record["case"]["family"]
        values["speedups"] += [(family, ratios_of(speedup)) for speedup in _distinct(record["speedups"])]
        of_device += [
            (family, ratios_of(speedup["device_speedup"]))
            for speedup in _distinct(record["speedups"])
            if "device_speedup" in speedup
        ]
        values["copies"] += [(family, ratios_of(trial)) for trial in record.get("trials", [])]
        values["times"].append((family, times[name]))
        if has_pairs(record):
            values["sides"].append((family, values_of(record["against"])))
    return values | ({"device speedups": of_device} if of_device else {})


def prior_record(of: PriorOf, prior: Prior) -> PriorRecord:
    """A prior for a record."""
    return PriorRecord(
        of=of,
        deviation=prior.deviation,
        degrees=prior.degrees if math.isfinite(prior.degrees) else None,
        families=prior.families,
        source=prior.source,
    )


def priors_of(record: VisitsRecord | None) -> dict[PriorOf, Prior]:
    """The priors of a run's record; empty without any."""
    return {
        prior["of"]: Prior(
            prior["deviation"],
            math.inf if prior["degrees"] is None else prior["degrees"],
            prior["families"],
            prior["source"],
        )
        for prior in (record.get("priors", []) if record else ())
    }


def _distinct(speedups: Sequence[SpeedupRecord]) -> Iterator[SpeedupRecord]:
    """One of those that are against the same case: by the reference, and by the one knob that differs."""
    return iter({speedup["against"]: speedup for speedup in speedups}.values())


def ratios_of(compared: SpeedupRecord | TrialRecord | DeviceSpeedupRecord) -> Visits:
    """A comparison's values by visit: logarithms of the ratios."""
    ratios = compared.get("visit_ratios", [compared["ratio"]])
    errors = compared.get("visit_errors", [None] * len(ratios))
    return Visits(tuple(map(math.log, ratios)), tuple(errors))


def parts_of(record: Record) -> Iterator[tuple[float, slice]]:
    """When each visit began, in seconds into the run, and which placements it took; visits without one are left out."""
    start = 0
    for visit in record["timing"]["visits"]:
        end = start + visit["placements"]
        if end > start:
            yield visit["at"], slice(start, end)
        start = end


def times_of(record: Record) -> Visits:
    """A case's values by visit: logarithms of the seconds per call."""
    blocks = record["timing"]["blocks"]
    values = [value_of([math.log(median(rounds)) for rounds in blocks[part]]) for _, part in parts_of(record)]
    points, errors = zip(*values, strict=True)
    return Visits(tuple(points), tuple(errors))


def _judged(record: Record, times: Visits, priors: Mapping[PriorOf, Prior], stop: StopReason) -> Record:
    time = estimate(times, priors.get("times"))
    new: Record = {**record}
    new["speedups"] = [_speedup(speedup, priors) for speedup in record["speedups"]]
    if "trials" in record:
        new["trials"] = [cast(TrialRecord, _trial(trial, priors.get("copies"))) for trial in record["trials"]]
    precise = all(is_precise(estimate(ratios_of(speedup), priors.get("speedups"))) for speedup in record["speedups"])
    precise &= all(is_precise(estimate(ratios_of(trial), priors.get("copies"))) for trial in record.get("trials", []))
    new["timing"] = {
        **record["timing"],
        "seconds": math.exp(time.point),
        **_ends(time),
        "stop": "precise" if precise else stop,
    }
    return new


def is_precise(found: Estimate) -> bool:
    """Whether an interval is narrow enough for its effect."""
    return found.half_width <= wanted(found.point)


def _ends(found: Estimate) -> Any:
    known = math.isfinite(found.half_width) and found.half_width < MAX_LOG
    return {"low": math.exp(found.low), "high": math.exp(found.high)} if known else {"low": None, "high": None}


MAX_LOG = 60.0  # half an interval of the logarithm that is wider says nothing


def _interval(
    compared: SpeedupRecord | TrialRecord | DeviceSpeedupRecord, prior: Prior | None
) -> tuple[Estimate, dict[str, Any]]:
    found = estimate(ratios_of(compared), prior)
    of = {**compared, "ratio": math.exp(found.point), **_ends(found)}
    if of["low"] is not None:
        of["interval"] = IntervalRecord(
            visits=found.visits, deviation=found.deviation, degrees=min(found.degrees, 1e6), prior=found.prior
        )
    return found, of


def _speedup(speedup: SpeedupRecord, priors: Mapping[PriorOf, Prior]) -> SpeedupRecord:
    new = cast(SpeedupRecord, _with_verdict(speedup, priors.get("speedups")))
    if "device_speedup" in speedup:
        of_device = _with_verdict(speedup["device_speedup"], priors.get("device speedups"))
        new["device_speedup"] = cast(DeviceSpeedupRecord, of_device)
    return new


def _with_verdict(compared: SpeedupRecord | DeviceSpeedupRecord, prior: Prior | None) -> dict[str, Any]:
    found, of = _interval(compared, prior)
    known = of["low"] is not None
    of["verdict"] = side_of(found.low, found.high, compared["threshold"]) if known else "unclear"
    return of


def _trial(trial: TrialRecord, prior: Prior | None) -> dict[str, Any]:
    found, of = _interval(trial, prior)
    known = of["low"] is not None
    of["verdict"] = side_of(found.low, found.high, COPY_THRESHOLD) if known else "unclear"
    of["minimum_effect"] = minimum_effect(found.half_width, COPY_THRESHOLD) if known else None
    return of


def _visits_record(visited: Sequence[Record], priors: Mapping[PriorOf, Prior]) -> VisitsRecord | None:
    numbers = [len(record["timing"]["visits"]) for record in visited]
    if not numbers:
        return None
    record = VisitsRecord(fewest=min(numbers), median=round(median(numbers)), most=max(numbers))
    if priors:
        record["priors"] = [prior_record(of, prior) for of, prior in priors.items()]
    return record
