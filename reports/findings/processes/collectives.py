"""Collectives over sizes: latency, algorithm bandwidth and bus bandwidth, as nccl-tests counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import code, ranks
from torchduet.bench.record.schema import Record
from torchduet.reports.findings.processes.names import Names, workload_of
from torchduet.reports.findings.processes.words import rate_interval
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.ranks import Estimate, bandwidth, ranks_of
from torchduet.reports.text import units

MAX_NAMED = 4  # workloads that have a sentence
MAX_ALIKE = 3  # ways that it names


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

    @property
    def latency(self) -> Estimate:
        """The same with its interval."""
        timing = self.record["timing"]
        return Estimate(timing["seconds"], timing["low"], timing["high"])


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
    """Per workload: the shortest time, and the highest bus bandwidth; both with the ways that reach it within noise."""
    workloads: dict[str, list[Collective]] = {}
    for of in found:
        workloads.setdefault(of.workload, []).append(of)
    for name, members in list(workloads.items())[:MAX_NAMED]:
        time, quickest = _first([(of.latency, of) for of in members], min)
        interval = units.seconds_interval(time.low, time.high) or "no interval"
        words = f"{code(name)}: the shortest time measured is {units.seconds(time.value)} ({interval}), {quickest}"
        if rates := [(of.bus, of) for of in members if of.bus is not None]:
            bus, widest = _first(rates, max)
            interval = rate_interval(bus) or "no interval"
            words += f"; the highest bus bandwidth is {units.rate(bus.value, 'B/s')} ({interval}), {widest}"
        yield f"{words}."
    if (more := len(workloads) - MAX_NAMED) > 0:
        yield f"{units.plural(more, 'more collective is', 'more collectives are')} in the table."


def _first(
    figures: Sequence[tuple[Estimate, Collective]], choose: Callable[[Iterable[float]], float]
) -> tuple[Estimate, str]:
    """The least or the greatest figure; and the ways that have it, in words: all whose intervals overlap with its own.

    Args:
        choose: ``min`` or ``max``.
    """
    lines: dict[str, list[tuple[Estimate, Collective]]] = {}
    for figure, of in figures:
        lines.setdefault(of.line, []).append((figure, of))
    firsts = [_chosen(members, choose) for members in lines.values()]
    best = _chosen(firsts, choose)
    alike = [best[1], *(of for figure, of in firsts if of is not best[1] and _overlap(figure, best[0]))]
    if len(alike) > MAX_ALIKE:
        return best[0], f"of one of {len(alike)} ways, as their intervals overlap"
    overlap = ", as their intervals overlap" if len(alike) > 1 else ""
    return best[0], f"of {' or '.join(map(_named, alike))}{overlap}"


def _chosen(
    figures: Sequence[tuple[Estimate, Collective]], choose: Callable[[Iterable[float]], float]
) -> tuple[Estimate, Collective]:
    value = choose(figure.value for figure, _ in figures)
    return next(pair for pair in figures if pair[0].value == value)


def _overlap(one: Estimate, other: Estimate) -> bool:
    """Whether two intervals do; so it is assumed where either is missing."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return True
    return one.low <= other.high and other.low <= one.high


def _named(of: Collective) -> str:
    return code(of.line) + (f" with {units.size(of.message)}" if of.message else "")
