"""Collectives over sizes: latency, algorithm bandwidth and bus bandwidth, as nccl-tests counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import ranks
from torchduet.bench.record.schema import Record
from torchduet.reports.findings.processes.names import Names, workload_of
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.ranks import Estimate, bandwidth, ranks_of
from torchduet.reports.text import units

MAX_NAMED = 4  # workloads that have a sentence


@dataclass(frozen=True)
class Collective:
    """A collective of one size.

    Attributes:
        line: how it is computed and between how many ranks, in words.
        message: its bytes: of the larger of what a rank gives and gets.
        algorithm, bus: bytes per second; None for a message without bytes, such as a barrier.
    """

    workload: str
    line: str
    name: str
    anchor: str
    record: Record
    ranks: int
    message: float
    algorithm: Estimate | None
    bus: Estimate | None

    @property
    def seconds(self) -> float:
        """Its latency: the time of a call."""
        return self.record["timing"]["seconds"]


def collectives(run: Run, names: Names) -> list[Collective]:
    """Every case whose cost has a message, by workload, way, ranks and size."""
    found = [
        Collective(
            workload=workload_of(record),
            line=f"{names.way(record)} · {ranks(str(ranks_of(record)))}",
            name=names.case(record),
            anchor=anchor(index),
            record=record,
            ranks=ranks_of(record),
            message=record["cost"]["message"],
            algorithm=bandwidth(record, "message"),
            bus=bandwidth(record, "bus"),
        )
        for index, record in enumerate(run.records)
        if "message" in record["cost"] and ranks_of(record)
    ]
    order = {key: place for place, key in enumerate(dict.fromkeys((of.workload, of.line) for of in found))}
    return sorted(found, key=lambda of: (order[of.workload, of.line], of.message))


def sentences(found: Sequence[Collective]) -> Iterator[str]:
    """Per workload: the least latency, and the highest bus bandwidth."""
    workloads: dict[str, list[Collective]] = {}
    for of in found:
        workloads.setdefault(of.workload, []).append(of)
    for name, members in list(workloads.items())[:MAX_NAMED]:
        quickest = min(members, key=lambda of: of.seconds)
        words = f"`{name}` takes at least {units.seconds(quickest.seconds)} (`{quickest.line}`, {_size(quickest)})"
        rates = [(of.bus, of) for of in members if of.bus is not None]
        if rates:
            bus, best = max(rates, key=lambda pair: pair[0].value)
            words += f"; its highest bus bandwidth is {units.rate(bus.value, 'B/s')} (`{best.line}`, {_size(best)})"
        yield f"{words}."
    if (more := len(workloads) - MAX_NAMED) > 0:
        yield f"{more} more collective{' is' if more == 1 else 's are'} in the table."


def _size(of: Collective) -> str:
    return units.size(of.message) if of.message else "no bytes"
