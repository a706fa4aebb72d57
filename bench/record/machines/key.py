"""Assigns runs to machines: runs are of one machine if their facts of the kinds *machine* and *setting* agree.

Another CPU, GPU, number of cores or threads, power limit or governor begins another series. New versions of PyTorch,
Python or the driver do not: their effect is of interest, so they become marks on the series.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.machines.facts import KINDS, MACHINE, SETTING, SOFTWARE, Fact, facts_of, in_words, name_of
from torchduet.bench.record.schema import RunRecord

GIB = 2**30
OPTIONS = ("threads", "data", "cache")  # settings that are options; None stands for the default
LABELLED = ("gpu", "accelerator", "cpu", "cores", "threads")


@dataclass(frozen=True)
class Machine:
    """One machine in one setting.

    Attributes:
        key: eight hexadecimal digits that name it on the command line.
        facts: common to its runs.
    """

    key: str
    facts: Mapping[str, Fact]

    @property
    def label(self) -> str:
        """``AMD EPYC · 2 cores · 2 threads``."""
        words = []
        for name in LABELLED:
            value = self.facts.get(name)
            if name == "threads":
                words.append("default threads" if value is None else _counted(value, "thread"))
            elif value is not None:
                words.append(_counted(value, "core") if name == "cores" else str(value))
        return " · ".join(words)

    def detail(self, others: Sequence[Machine]) -> str:
        """The facts that distinguish it from machines with the same label: ``governor powersave``."""
        alike = [machine for machine in others if machine.label == self.label and machine is not self]
        differing = [
            name for name in self.facts if any(machine.facts.get(name) != self.facts[name] for machine in alike)
        ]
        return ", ".join(f"{name_of(name)} {in_words(name, _unrounded(name, self.facts[name]))}" for name in differing)


def identity(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """The facts of a run that identify its machine; facts that the file lacks are left out.

    An option that was not given, or that an older version did not have, counts as its default. Memory is rounded to
    whole GiB, because kernels reserve different amounts of it.
    """
    identifying: dict[str, Fact] = {name: facts.get(name) for name in OPTIONS}
    for name, value in facts.items():
        kind = KINDS.get(name)
        if kind == MACHINE or (kind == SETTING and value is not None):
            rounded = isinstance(value, int | float) and name.endswith("_bytes")
            identifying[name] = round(float(value) / GIB) if rounded and value is not None else value
    return dict(sorted(identifying.items()))


def versions(facts: Mapping[str, Fact]) -> dict[str, str]:
    """The versions in a run: name in words → version in words."""
    return {name_of(name): in_words(name, value) for name, value in facts.items() if KINDS.get(name) == SOFTWARE}


def machines(identities: Sequence[Mapping[str, Fact]]) -> list[Machine]:
    """The machine of each run. A fact that a run lacks, as in files of older versions, does not distinguish it.

    A run with fewer facts than others belongs to the one machine that agrees in all of them. If several machines
    agree, the run gets a machine of its own, because it is not known which of them it is from.
    """
    facts_of = {_digest(identity): dict(identity) for identity in identities}
    complete = {
        key: facts
        for key, facts in facts_of.items()
        if not any(len(other) > len(facts) and _within(facts, other) for other in facts_of.values())
    }
    machine_of = {}
    for key, facts in facts_of.items():
        matching = [key] if key in complete else [name for name, other in complete.items() if _within(facts, other)]
        machine = matching[0] if len(matching) == 1 else key
        machine_of[key] = Machine(machine, facts_of[machine])
    return [machine_of[_digest(identity)] for identity in identities]


def _within(facts: Mapping[str, Fact], other: Mapping[str, Fact]) -> bool:
    return all(name in other and other[name] == value for name, value in facts.items())


def _digest(facts: Mapping[str, Fact]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _counted(value: Fact, word: str) -> str:
    return f"{value} {word}{'' if value == 1 else 's'}"


def _unrounded(name: str, value: Fact) -> Fact:
    return value * GIB if name.endswith("_bytes") and isinstance(value, int | float) else value


def key_of(about: RunRecord) -> str:
    """The key of the machine of one run, from all of its facts: eight hexadecimal digits."""
    return _digest(identity(facts_of(about)))
