"""Which machines form a kind, and what must be equal on all machines of a fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torchduet.bench.fleet.messages import FamilyPlan, Planned
from torchduet.bench.fleet.options import ACCELERATOR

OWN_FILES = "torchduet's own files"
EVERYWHERE = ("torchduet", f"{OWN_FILES} (bench)", f"{OWN_FILES} (suites)", "torch", "python")


@dataclass
class Kind:
    """Machines on which the suite is measured once.

    Attributes:
        name: for people, and in the queue.
        machine: the key of its machines.
        families: by name, in the order of the suite.
        budget: seconds for all of them.
    """

    name: str
    machine: str
    families: dict[str, FamilyPlan]
    budget: float
    in_turns: Sequence[str] = field(default=())

    @cached_property
    def _whole(self) -> float:
        return sum(family.seconds for family in self.families.values())

    def order(self, machines: int) -> dict[str, float]:
        """Family → its weight in the queue, for so many machines that share the suite: the longest goes out first.

        Where the time may be too short for all, suites take turns instead, as in a run on one machine: nothing is left
        out because it is short.
        """
        if sum(family.least for family in self.families.values()) <= self.budget * machines:
            return {name: family.seconds for name, family in self.families.items()}
        turn = {name: float(len(self.in_turns) - place) for place, name in enumerate(self.in_turns)}
        return {name: turn.get(name, 0.0) for name in self.families}

    def share(self, families: Sequence[str]) -> float:
        """The part of the budget that some of the families have, by what they take about."""
        return sum(self.families[name].seconds for name in families) / self._whole if self._whole else 1.0


def name_of(planned: Planned, each: str) -> str:
    """The name of a machine's kind."""
    if each == ACCELERATOR:
        return planned.accelerator
    return f"{planned.label} ({planned.machine})"


def kind_of(planned: Planned, each: str) -> Kind:
    """The kind of which a machine is the first one."""
    families = {family.name: family for family in planned.families}
    return Kind(name_of(planned, each), planned.machine, families, planned.budget, planned.in_turns)


def leading(plans: Sequence[Planned], each: str) -> dict[str, Planned]:
    """Kind's name → a machine of the key that most machines of the kind have, the first one where several lead.

    Machines with the same accelerator may differ in their CPU, memory or settings: their times are those of different
    machines. So a kind has one key.
    """
    found: dict[str, Planned] = {}
    for name in dict.fromkeys(name_of(planned, each) for planned in plans):
        of = [planned for planned in plans if name_of(planned, each) == name]
        key, _ = Counter(planned.machine for planned in of).most_common(1)[0]
        found[name] = next(planned for planned in of if planned.machine == key)
    return found


def other_versions(plans: Sequence[Planned]) -> list[str]:
    """A line for each version that must be the same and is not: ``torch: 2.12.0 on vm2, 2.13.0 on vm1 and vm3``.

    On all machines: Torchduet, its files, the release of PyTorch (builds for CPUs and for GPUs may stand side by side)
    and Python's minor version. On machines of one key everything, a GPU's driver included: their results are united.
    """
    lines = []
    for name in EVERYWHERE:
        if len({_release(name, planned) for planned in plans if name in planned.versions}) > 1:
            lines.append(_said(name, plans))
    for key in dict.fromkeys(planned.machine for planned in plans):
        alike = [planned for planned in plans if planned.machine == key]
        names = dict.fromkeys(name for planned in alike for name in planned.versions)
        lines += [
            _said(name, alike)
            for name in names
            if len({planned.versions[name] for planned in alike if name in planned.versions}) > 1
        ]
    named = {line.partition(":")[0]: line for line in reversed(lines)}  # the first of each, about all machines
    return list(dict.fromkeys(line for line in lines if named[line.partition(":")[0]] == line))


def _release(name: str, planned: Planned) -> str:
    """A version as far as it has to be the same on machines of different kinds."""
    version = planned.versions[name]
    if name == "torch":
        return version.partition("+")[0]
    return ".".join(version.split(".")[:2]) if name == "python" else version


def _said(name: str, plans: Sequence[Planned]) -> str:
    hosts: dict[str, list[str]] = {}
    for planned in plans:
        if name in planned.versions:
            hosts.setdefault(planned.versions[name], []).append(planned.host)
    return f"{name}: {', '.join(f'{version} on {listed(of)}' for version, of in sorted(hosts.items()))}"


def listed(words: Sequence[str], most: int = 8) -> str:
    """``a, b and c``; of many the first, and how many there are beyond."""
    distinct = list(dict.fromkeys(words))
    if len(distinct) > most:
        return f"{', '.join(distinct[:most])} and {len(distinct) - most} more"
    return " and ".join(filter(None, (", ".join(distinct[:-1]), *distinct[-1:])))


def differing_options(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """A line for each option that is not as it was."""
    return [
        f"{name}: {_shown(before.get(name))} there, {_shown(now.get(name))} here"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    ]


def _shown(value: object) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
