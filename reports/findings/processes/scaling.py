"""Scaling curves: the efficiency of each way to compute a workload, over the number of its ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import code, ranks
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import Record
from torchduet.bench.record.words.counting import plural
from torchduet.reports.findings.processes.names import Names
from torchduet.reports.findings.processes.words import share_words
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.flat_ranks import held_against, way_of
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.pairs import PairRatio
from torchduet.reports.tables.ranks import Efficiency, efficiency, leaves_communication_out, ranks_of
from torchduet.reports.tables.visits import prior_of

MAX_NAMED = 4  # ways to compute that a sentence names
MAX_SENTENCES = 6  # curves that have a sentence
MEANINGS = {
    "strong": "the same work is divided among the ranks",
    "weak": "every rank adds as many samples of its own",
    "mixed": "the samples grow otherwise than the ranks",
    "": "its cost counts no samples, so efficiency is not known",
}
OUTCOMES = {
    "faster": "surely faster",
    "slower": "surely slower",
    "same": "as fast",
    "unclear": "not settled",
}
VERDICTS = {"faster": "faster than", "slower": "slower than", "same": "no faster than"}


@dataclass(frozen=True)
class Point:
    """A case on a curve; the first of a curve is held against nothing."""

    record: Record
    anchor: str
    ranks: int
    pair: PairRatio | None
    efficiency: Efficiency | None

    @property
    def seconds(self) -> float:
        """Per call."""
        return self.record["timing"]["seconds"]


@dataclass(frozen=True)
class Line:
    """One way to compute a workload, by its number of ranks, ascending; ``part``: without its communication."""

    name: str
    points: tuple[Point, ...]
    part: bool

    @property
    def fewest(self) -> int:
        """The ranks of the case that the others are held against."""
        return self.points[0].ranks

    @property
    def last(self) -> Point:
        """The case with the most ranks."""
        return self.points[-1]


@dataclass(frozen=True)
class Curve:
    """A workload at one size: its lines.

    Attributes:
        scaling: "strong", "weak", "mixed", or empty where efficiency is not known.
        over: what one process without a process group is called, where it was measured; else empty.
    """

    name: str
    scaling: str
    lines: tuple[Line, ...]
    over: str

    @property
    def meaning(self) -> str:
        """What the scaling means."""
        return MEANINGS[self.scaling]

    @property
    def against(self) -> str:
        """What efficiency is held against: ``1 rank``."""
        return " or ".join(ranks(str(number)) for number in sorted({line.fewest for line in self.lines}))

    @property
    def drawn(self) -> bool:
        """Whether any efficiency is known."""
        return any(point.efficiency for line in self.lines for point in line.points)


def curves(run: Run, names: Names) -> list[Curve]:
    """A curve per workload and size that was measured with at least two numbers of ranks; collectives have none."""
    families: dict[str, dict[tuple[str, ...], list[tuple[str, Record]]]] = {}
    alone: dict[str, Record] = {}
    for index, record in enumerate(run.records):
        case = record["case"]
        if case.get("role") == "alone":
            alone[case["family"]] = record
        if ranks_of(record) and "message" not in record["cost"]:
            families.setdefault(case["family"], {}).setdefault(way_of(record), []).append((anchor(index), record))
    prior, found = prior_of(run), []
    for family, ways in families.items():
        lines = [line for members in ways.values() if (line := _line(members, names, prior))]
        by_scaling: dict[str, list[Line]] = {}
        for line in lines:
            by_scaling.setdefault(line.last.efficiency.scaling if line.last.efficiency else "", []).append(line)
        over = names.way(alone[family]) if family in alone else ""
        found += [
            Curve(names.family(alike[0].last.record), scaling, tuple(alike), over)
            for scaling, alike in by_scaling.items()
        ]
    return found


def _line(members: Sequence[tuple[str, Record]], names: Names, prior: Prior | None) -> Line | None:
    ordered = sorted(members, key=lambda member: ranks_of(member[1]))
    if len({ranks_of(record) for _, record in ordered}) < 2:
        return None
    (_, first), points = ordered[0], []
    for case_anchor, record in ordered:
        pair = None if record is first else held_against(first, record, prior)
        of_first = PairRatio(1, 1, 1, "same", 0) if record is first else pair
        gain = efficiency(first, record, of_first) if of_first else None
        points.append(Point(record, case_anchor, ranks_of(record), pair, gain))
    return Line(names.way(first), tuple(points), leaves_communication_out(first))


def sentences(found: Sequence[Curve]) -> Iterator[str]:
    """Per curve: the efficiency with the most ranks, and how many ways are surely faster or slower there."""
    known = [curve for curve in found if any(_judged(curve))]
    for curve in known[:MAX_SENTENCES]:
        judged = sorted(_judged(curve), key=lambda pair: -pair[1].share.value)
        named = [
            f"{code(line.name)} {share_words(gain.share)} at {ranks(str(line.last.ranks))}"
            for line, gain in judged[:MAX_NAMED]
        ]
        more = f", and {len(judged) - MAX_NAMED} more in the table" if len(judged) > MAX_NAMED else ""
        verdicts = [gain.verdict for _, gain in judged]
        counted = [f"{verdicts.count(verdict)} {words}" for verdict, words in OUTCOMES.items() if verdict in verdicts]
        yield (
            f"{code(curve.name)}, {curve.scaling} scaling ({curve.meaning}): the efficiency against {curve.against} is "
            f"{', '.join(named)}{more}. In samples per second, with the most ranks: {', '.join(counted)}."
        )
    if (more_curves := len(known) - MAX_SENTENCES) > 0:
        yield f"{plural(more_curves, 'more workload is', 'more workloads are')} in the charts and tables below."


def _judged(curve: Curve) -> list[tuple[Line, Efficiency]]:
    """The lines with communication, each with the efficiency of its most ranks, where that is known."""
    return [(line, line.last.efficiency) for line in curve.lines if line.last.efficiency and not line.part]
