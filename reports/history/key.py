"""Which runs are of one machine: those whose facts of the kinds *machine* and *setting* agree.

Times of another CPU, GPU, number of cores or threads, power limit or governor are no continuation of a series.
Versions of PyTorch, Python or the driver are: they are what one wants to see, and become marks on the series.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.reports.compare.settings import KINDS, MACHINE, SETTING, SOFTWARE, name_of, said

Fact = str | int | float | bool | None
GIB = 2**30
ASKED_FOR = ("threads", "data", "cache")  # settings that are options: without one, the default was meant
NAMED = ("gpu", "accelerator", "cpu", "cores", "threads")


@dataclass(frozen=True)
class Machine:
    """One machine in one setting.

    Attributes:
        key: eight hexadecimal digits that name it on the command line.
        facts: what its runs have in common.
    """

    key: str
    facts: Mapping[str, Fact]

    @property
    def label(self) -> str:
        """``AMD EPYC · 2 cores · 2 threads``."""
        words = []
        for name in NAMED:
            value = self.facts.get(name)
            if name == "threads":
                words.append("default threads" if value is None else _counted(value, "thread"))
            elif value is not None:
                words.append(_counted(value, "core") if name == "cores" else str(value))
        return " · ".join(words)

    def detail(self, others: Sequence[Machine]) -> str:
        """What else sets it apart from machines of the same label: ``governor powersave``."""
        alike = [one for one in others if one.label == self.label and one is not self]
        apart = [name for name in self.facts if any(one.facts.get(name) != self.facts[name] for one in alike)]
        return ", ".join(f"{name_of(name)} {said(name, _unrounded(name, self.facts[name]))}" for name in apart)


def identity(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """The facts of a run that make its machine what it is; those it does not know are left out.

    An option that was not given, or that there was none of in an older version, stands at its default.
    Memory is rounded to whole GiB: kernels keep more or less of it to themselves.
    """
    found: dict[str, Fact] = {name: facts.get(name) for name in ASKED_FOR}
    for name, value in facts.items():
        kind = KINDS.get(name)
        if kind == MACHINE or (kind == SETTING and value is not None):
            rounded = isinstance(value, int | float) and name.endswith("_bytes")
            found[name] = round(float(value) / GIB) if rounded and value is not None else value
    return dict(sorted(found.items()))


def versions(facts: Mapping[str, Fact]) -> dict[str, str]:
    """The versions a run was made with, in words, by their names in words."""
    return {name_of(name): said(name, value) for name, value in facts.items() if KINDS.get(name) == SOFTWARE}


def machines(identities: Sequence[Mapping[str, Fact]]) -> list[Machine]:
    """The machine of each run. What a run does not say, as one of an older version, does not set it apart.

    A run that knows fewer facts than others belongs to the one machine that agrees in all it knows; where several
    do, it stays apart, because whose run it was cannot be said.
    """
    known = {_digest(one): dict(one) for one in identities}
    fullest = {
        key: facts
        for key, facts in known.items()
        if not any(len(other) > len(facts) and _within(facts, other) for other in known.values())
    }
    chosen = {}
    for key, facts in known.items():
        fitting = [key] if key in fullest else [one for one, other in fullest.items() if _within(facts, other)]
        home = fitting[0] if len(fitting) == 1 else key
        chosen[key] = Machine(home, known[home])
    return [chosen[_digest(one)] for one in identities]


def _within(facts: Mapping[str, Fact], other: Mapping[str, Fact]) -> bool:
    return all(name in other and other[name] == value for name, value in facts.items())


def _digest(facts: Mapping[str, Fact]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _counted(value: Fact, word: str) -> str:
    return f"{value} {word}{'' if value == 1 else 's'}"


def _unrounded(name: str, value: Fact) -> Fact:
    return value * GIB if name.endswith("_bytes") and isinstance(value, int | float) else value
