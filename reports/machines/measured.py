"""What a machine measured of each piece of work: its time on each device, pooled over the runs of the machine.

Work is a case without its device: the same computation in the same mode and precision. A machine does it on the device
on which it is fastest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import CaseRecord, Record
from torchduet.reports.compare.withheld import times_withheld
from torchduet.reports.machines.columns import Column
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.ranks import leaves_communication_out
from torchduet.reports.tables.visits import number_of_visits

MIN_JOULES = 1e-12  # a call that needs less, or 0, was not counted


@dataclass(frozen=True)
class Measured:
    """A case on one device of a machine.

    Attributes:
        seconds: per call; with ``low`` and ``high``, its 99 % interval within the run, or None.
        joules: per call; None where they are not known.
        samples: that one call processes; None where the case does not count any.
        unit: of the samples.
        doubtful: a run withheld its verdicts on it, or waited for a core, so it may be off by more than its interval.
    """

    device: str
    seconds: float
    low: float | None
    high: float | None
    joules: float | None = None
    samples: float | None = None
    unit: str = ""
    doubtful: bool = False


def work_of(case: CaseRecord) -> str:
    """The case's id without the word for its device: ``matmul.square[n=512] eager fp32``."""
    family = case["family"]
    head, tail = (family, case["id"][len(family) :]) if case["id"].startswith(family) else ("", case["id"])
    words = tail.split(" ")
    for place in range(len(words) - 1, -1, -1):
        if words[place] == case["device"]:  # the last one: an implementation's name stands before the device
            return head + " ".join(words[:place] + words[place + 1 :])
    return case["id"]


def measured(column: Column) -> dict[str, list[Measured]]:
    """Work → what was measured of it on each device, the fastest first."""
    groups: dict[tuple[str, str], list[tuple[Run, Record]]] = {}
    for run, record in records_of(column):
        groups.setdefault((work_of(record["case"]), record["case"]["device"]), []).append((run, record))
    found: dict[str, list[Measured]] = {}
    for (work, device), of_runs in groups.items():
        found.setdefault(work, []).append(pooled(device, of_runs))
    return {work: sorted(devices, key=lambda one: one.seconds) for work, devices in found.items()}


def records_of(column: Column) -> Iterator[tuple[Run, Record]]:
    """The records of all runs of a machine, but for controls, which leave their communication out."""
    for run in column.runs:
        yield from ((run, record) for record in run.records if not leaves_communication_out(record))


def pooled(device: str, of_runs: Sequence[tuple[Run, Record]]) -> Measured:
    """A case in several runs of one machine key: the mean of logarithms, each run by its number of visits.

    The interval reaches from the least end of the runs' intervals to the greatest: machines of one key are not equal.
    It is None where no run has one.
    """
    records = [record for _, record in of_runs]
    weights = [max(number_of_visits(record), 1) for record in records]
    timings = [record["timing"] for record in records]
    logs = (weight * math.log(timing["seconds"]) for weight, timing in zip(weights, timings, strict=True))
    seconds = timings[0]["seconds"] if len(timings) == 1 else math.exp(math.fsum(logs) / sum(weights))
    ends = [(timing["low"], timing["high"]) for timing in timings]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    joules = [value for record in records if (value := record.get("energy", {}).get("joules", 0.0)) >= MIN_JOULES]
    cost: Mapping[str, object] = records[0]["cost"]
    samples = cost.get("samples")
    return Measured(
        device=device,
        seconds=seconds,
        low=min(seconds, *(low for low, _ in known)) if known else None,
        high=max(seconds, *(high for _, high in known)) if known else None,
        joules=math.fsum(joules) / len(joules) if joules else None,
        samples=float(samples) if isinstance(samples, int | float) and samples > 0 else None,
        unit=str(cost.get("unit", "samples")),
        doubtful=bool(times_withheld(*of_runs)),
    )
