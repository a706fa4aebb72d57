"""Finds out why runs must not be one file: other versions, options or commits, shards of another plan, duets."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from torchduet.bench.merge.sources import Source
from torchduet.bench.record.machines.facts import (
    KINDS,
    MACHINE,
    SELECTION,
    Fact,
    facts_of,
    in_words,
    kind_of,
    name_of,
)
from torchduet.bench.record.machines.key import identity
from torchduet.bench.record.machines.parts import SHARD, SHARD_PLAN
from torchduet.bench.record.schema import PartRecord

MAX_NAMED = 3
EVERYWHERE = ("Torchduet",)  # versions that are the same on machines of all kinds
OF_ONE_KIND = ("torch", "cuda", "hip", "driver", "gpu_driver")  # and on those of one kind
DATA_SOURCE = "data_source"  # where the data was: the name of the data counts
NOT_OPTIONS = (SHARD, SHARD_PLAN, DATA_SOURCE)


def conflicts(sources: Sequence[Source]) -> list[str]:
    """Each reason in words, with the values that differ and the documents; empty where there is none."""
    found = [
        f"{source.name} is a duet, which holds its own two sides" for source in sources if "against" in source.about
    ]
    facts = [facts_of(source.about) for source in sources]
    names = [source.name for source in sources]

    def differing(what: str, values: Iterable[Hashable], said: Callable[[Hashable], str] = str) -> Iterator[str]:
        yield from _differing(what, list(zip(names, values, strict=True)), said)

    for fact in EVERYWHERE:
        found += differing(name_of(fact), [of.get(fact) for of in facts])
    found += differing("PyTorch", [_public(of.get("torch")) for of in facts])
    found += differing("Python", [_minor(of.get("python")) for of in facts])
    commits = [(source.name, commit) for source in sources if (commit := _commit(source))]
    found += _differing("commit", commits, lambda commit: _short(str(commit)))
    for option in _options_that_matter(sources):
        found += differing(name_of(option), [of.get(option) for of in facts], partial(_in_words, option))
    for same in _groups(sources, _hardware):
        found += _differing("threads", [(of.name, of.about["options"].get("threads")) for of in same], str)
    for same in _groups(sources, lambda source: source.key):
        for fact in OF_ONE_KIND:
            values = [(of.name, facts_of(of.about).get(fact)) for of in same]
            if fact != "torch" or len({_public(value) for _, value in values}) == 1:
                found += _differing(name_of(fact), values, partial(_in_words, fact))
        found += _differing("shards", _plans(same), str)
    return list(dict.fromkeys(found))


def missing_shards(sources: Sequence[Source]) -> dict[tuple[int, str], list[int]]:
    """(number of shards, plan) → the shards that no machine has measured, if any are missing."""
    seen: dict[tuple[int, str], set[int]] = {}
    for part in (part for source in sources for part in source.parts):
        if (plan := plan_of(part)) is not None and (shard := shard_of(part.get("shard"))) is not None:
            seen.setdefault(plan, set()).add(shard[0])
    missing = {plan: sorted({*range(1, plan[0] + 1)} - numbers) for plan, numbers in seen.items()}
    return {plan: numbers for plan, numbers in missing.items() if numbers}


def missing_in_words(number: int, missing: Sequence[int]) -> str:
    """``shards 3 and 7 of 8 are missing``."""
    if len(missing) == 1:
        return f"shard {missing[0]} of {number} is missing"
    return f"shards {', '.join(map(str, missing[:-1]))} and {missing[-1]} of {number} are missing"


def plan_of(part: PartRecord) -> tuple[int, str] | None:
    """Into how many shards the suite of a part was cut, and the digest of what was cut; None for a run that is none."""
    shard, plan = shard_of(part.get("shard")), part["options"].get(SHARD_PLAN)
    return None if shard is None else (shard[1], plan if isinstance(plan, str) else "")


def shard_of(text: object) -> tuple[int, int] | None:
    """``2/8`` as numbers; None if it is none."""
    match = re.fullmatch(r"([1-9]\d{0,6})/([1-9]\d{0,6})", text) if isinstance(text, str) else None
    if match is None or int(match[1]) > int(match[2]):
        return None
    return int(match[1]), int(match[2])


def differing_facts(one: Source, other: Source) -> list[str]:
    """The facts by which two machines have two keys, in words: ``governor powersave and performance``."""
    first, second = identity(facts_of(one.about)), identity(facts_of(other.about))
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return [f"{name_of(name)} {_said(name, one, first)} and {_said(name, other, second)}" for name in names]


def _said(name: str, source: Source, facts: Mapping[str, Fact]) -> str:
    value = facts_of(source.about).get(name, facts.get(name))
    return in_words(name, value)


def _options_that_matter(sources: Sequence[Source]) -> list[str]:
    """Options by which times differ, and those that this version does not have; not what selects cases."""
    given = dict.fromkeys(option for source in sources for option in source.about["options"])
    return [
        option
        for option in given
        if option not in NOT_OPTIONS and option != "threads" and kind_of(option) not in (SELECTION, MACHINE)
    ]


def _hardware(source: Source) -> Hashable:
    facts = identity(facts_of(source.about))
    return tuple((name, value) for name, value in facts.items() if KINDS.get(name) == MACHINE)


def _groups(sources: Sequence[Source], by: Callable[[Source], Hashable]) -> list[list[Source]]:
    groups: dict[Hashable, list[Source]] = {}
    for source in sources:
        groups.setdefault(by(source), []).append(source)
    return list(groups.values())


def _plans(sources: Sequence[Source]) -> list[tuple[str, Hashable]]:
    """What each document with shards was cut into; those without any are left out."""
    return [
        (source.name, f"of {plan[0]}{f' (plan {plan[1]})' if plan[1] else ''}")
        for source in sources
        for part in source.parts
        if (plan := plan_of(part)) is not None
    ]


def _differing(what: str, values: Sequence[tuple[str, Hashable]], said: Callable[[Hashable], str]) -> Iterator[str]:
    """``threads: 1 in a.json, 2 in b.json``; nothing where all are equal."""
    named: dict[Hashable, list[str]] = {}
    for name, value in values:
        named.setdefault(value, []).append(name)
    if len(named) > 1:
        yield f"{what}: " + ", ".join(f"{said(value)} in {_listed(names)}" for value, names in named.items())


def _listed(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    more = len(names) - MAX_NAMED
    if more > 0:
        return f"{', '.join(names[:MAX_NAMED])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _in_words(option: str, value: object) -> str:
    return in_words(option, value) if value is None or isinstance(value, str | int | float) else str(value)


def _public(version: Fact) -> str:
    """The version without what says how it was built: ``2.13.0`` of ``2.13.0+cu126``."""
    return str(version).partition("+")[0]


def _minor(version: Fact) -> str:
    return ".".join(str(version).split(".")[:2])


def _commit(source: Source) -> str:
    return next((part["commit"] for part in source.parts if part["commit"]), "")


def _short(commit: str) -> str:
    name, dash, dirty = commit.partition("-")
    return f"{name[:12]}{dash}{dirty}"
