"""The matrix of work × machine: the time of each machine, and which machine is the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torchduet.bench.record.schema import CaseRecord, NotMeasured
from torchduet.reports.compare.thresholds import DEFAULT
from torchduet.reports.machines.columns import Column
from torchduet.reports.machines.leaders import Figure, Tally, figure, leaders, tally
from torchduet.reports.machines.measured import Measured, measured, records_of, work_of
from torchduet.reports.machines.missing import Missing, Reasons

ENERGY_THRESHOLD = 0.1  # beyond the time's interval: NVML's readings may be off by 5 % on either side


@dataclass(frozen=True)
class Row:
    """One piece of work on all machines.

    Attributes:
        case: of the first machine that measured it.
        cells: per machine, what it measured on each device, the fastest first; empty where it has no time.
        missing: per machine, why it has no time; None where it has one.
    """

    work: str
    case: CaseRecord
    cells: tuple[tuple[Measured, ...], ...]
    missing: tuple[Missing | None, ...]

    def time(self, at: int) -> Measured | None:
        """The time of a machine, on its fastest device."""
        return self.cells[at][0] if self.cells[at] else None

    def joules(self, at: int) -> float | None:
        """The joules per call of a machine, on the device that takes its time; None where they are not known."""
        time = self.time(at)
        return time.joules if time else None

    @property
    def number(self) -> int:
        """How many machines have a time."""
        return sum(map(bool, self.cells))

    @cached_property
    def times(self) -> list[Figure | None]:
        """Seconds per call of each machine."""
        first = [cell[0] if cell else None for cell in self.cells]
        return [figure(one.seconds, one.low, one.high, one.doubtful) if one else None for one in first]

    @cached_property
    def fastest(self) -> tuple[int, ...]:
        """The machines that lead by time (``leaders``)."""
        return leaders(self.times, DEFAULT)

    def cheapest(self, per_hour: Sequence[float | None]) -> tuple[int, ...]:
        """The machines that lead by the cost of a call.

        Args:
            per_hour: the price of each machine; None: it has none.
        """
        return leaders(
            [time.times(price) if time and price else None for time, price in zip(self.times, per_hour, strict=True)],
            DEFAULT,
        )

    @cached_property
    def thriftiest(self) -> tuple[int, ...]:
        """The machines that lead by joules per call.

        Joules are power over the time of a call, so they are no surer than the time: they have its interval.
        """
        joules = [self.joules(at) for at in range(len(self.cells))]
        return leaders(
            [
                time.times(one / time.value) if time and one else None
                for time, one in zip(self.times, joules, strict=True)
            ],
            ENERGY_THRESHOLD,
        )

    def ratio(self, at: int, base: int) -> float | None:
        """How many times as fast a machine is as the base; None where either has no time."""
        time, other = self.time(at), self.time(base)
        return other.seconds / time.seconds if time and other else None


def matrix(found: Sequence[Column]) -> list[Row]:
    """A row for each piece of work that any machine measured, in the order in which the machines first name it."""
    times = [measured(column) for column in found]
    cases: dict[str, list[CaseRecord]] = {}
    for column in found:
        for _, record in records_of(column):
            cases.setdefault(work_of(record["case"]), []).append(record["case"])
    works = {case["id"]: work for work, listed in cases.items() for case in listed}
    reasons = [Reasons(column, works) for column in found]
    return [
        Row(
            work,
            listed[0],
            tuple(tuple(of_machine.get(work, ())) for of_machine in times),
            tuple(
                None if work in of_machine else why.of(work, listed)
                for of_machine, why in zip(times, reasons, strict=True)
            ),
        )
        for work, listed in cases.items()
    ]


def by_time(rows: Sequence[Row], number: int) -> Tally:
    """How often each machine is the fastest."""
    return tally((row.fastest for row in rows), number)


def by_cost(rows: Sequence[Row], per_hour: Sequence[float | None]) -> Tally:
    """How often each machine costs least."""
    return tally((row.cheapest(per_hour) for row in rows), len(per_hour))


def by_energy(rows: Sequence[Row], number: int) -> Tally:
    """How often each machine needs the least energy for a call."""
    return tally((row.thriftiest for row in rows), number)


def nowhere(found: Sequence[Column], rows: Sequence[Row]) -> list[tuple[NotMeasured, str]]:
    """The cases that failed or were skipped and that no machine has a time for, each with the machine's name."""
    known = {row.work for row in rows}
    return [
        (outcome, column.name)
        for column in found
        for run in column.runs
        for outcome in (*run.about["failed"], *run.about["skipped"])
        if work_of(outcome["case"]) not in known
    ]
