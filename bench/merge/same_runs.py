"""Finds runs that are there twice: a copy counts once, and so does a run that was resumed, beside its later state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.merge.sources import Source
from torchduet.bench.record.machines.parts import label_of
from torchduet.bench.record.schema import PartRecord


@dataclass(frozen=True)
class Distinct:
    """The sources without those that are in others.

    Attributes:
        notes: on each that was left out.
        conflicts: why runs that have something in common cannot be told apart, in words.
    """

    sources: Sequence[Source]
    notes: Sequence[str]
    conflicts: Sequence[str]


def distinct(sources: Sequence[Source]) -> Distinct:
    """Each run once."""
    kept: list[Source] = []
    notes, conflicts = list[str](), list[str]()
    for source in sorted(sources, key=lambda source: -len(source.parts)):
        own = {part["digest"] for part in source.parts}
        holders = [other for other in kept if other.key == source.key and own & _digests(other)]
        if own <= {digest for other in holders for digest in _digests(other)}:
            notes.append(f"{source.name} is left out: what it holds is in {_names(holders)}, too, and counts once")
            continue
        conflicts += [
            f"{source.name} and {other.name} have {label_of(part)} in common; merge the files of the runs themselves"
            for other in holders
            for part in other.parts
            if part["digest"] in own
        ]
        kept.append(source)
    for earlier, part, later, other in _states(kept):
        if len(earlier.parts) == 1 and _extends(later, other, earlier, part):
            notes.append(f"{earlier.name} is left out: it is an earlier state of the run in {later.name}")
            kept = [source for source in kept if source is not earlier]
        else:
            conflicts.append(
                f"{earlier.name} and {later.name} are two states of one run ({label_of(part)}, begun "
                f"{part['started']}); leave the earlier one out"
            )
    return Distinct([source for source in sources if any(source is other for other in kept)], notes, conflicts)


def _digests(source: Source) -> set[str]:
    return {part["digest"] for part in source.parts}


def _names(sources: Sequence[Source]) -> str:
    return " and ".join(dict.fromkeys(source.name for source in sources))


def _states(sources: Sequence[Source]) -> Iterator[tuple[Source, PartRecord, Source, PartRecord]]:
    """Sources and their parts that are the same run in two states, the one with less of it first.

    A journal has no name of the machine, so that names do not count.
    """
    by_begin: dict[tuple[str, str], list[tuple[Source, PartRecord]]] = {}
    for source in sources:
        for part in source.parts:
            by_begin.setdefault((part["started"], part.get("shard", "")), []).append((source, part))
    for same in by_begin.values():
        same.sort(key=lambda item: (len(item[0].parts) > 1, _placements(item[0])))
        for at, (earlier, part) in enumerate(same):
            for later, other in same[at + 1 :]:
                if other["digest"] == part["digest"]:  # a copy, which is told of already
                    continue
                if later is not earlier and _have_a_visit_in_common(earlier, part, later, other):
                    yield earlier, part, later, other
                    break


def _placements(source: Source) -> int:
    return sum(len(source.record(case)["timing"]["blocks"]) for case in source.benchmarks)


def _have_a_visit_in_common(one: Source, part: PartRecord, other: Source, part_of_other: PartRecord) -> bool:
    """Whether any case has the same first block times in both, to the last digit: two runs never do."""
    return any(
        (first := _blocks(one, case, part)[:1]) and first == _blocks(other, case, part_of_other)[:1]
        for case in one.benchmarks
        if case in other.benchmarks
    )


def _extends(later: Source, other: PartRecord, earlier: Source, part: PartRecord) -> bool:
    """Whether every block of the earlier state, which is a run by itself, is in a part of the later one."""
    for case in earlier.benchmarks:
        blocks = _blocks(earlier, case, part)
        if case not in later.benchmarks or _blocks(later, case, other)[: len(blocks)] != blocks:
            return False
    return True


def _blocks(source: Source, case: str, part: PartRecord) -> list[list[float]]:
    """The blocks of a case that one part has measured."""
    timing = source.record(case)["timing"]
    if len(source.parts) == 1 or "visits" not in timing:
        return timing["blocks"]
    found, start = list[list[float]](), 0
    index = source.parts.index(part)
    for visit in timing["visits"]:
        end = start + visit["placements"]
        if visit.get("part", 0) == index:
            found += timing["blocks"][start:end]
        start = end
    return found
