"""Groups runs by their machines: one column for each machine key, with a name that is its own on the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.machines.facts import Fact, facts_of, in_words, name_of
from torchduet.bench.record.machines.key import GIB, Machine, identity, machines
from torchduet.reports.read.run_file import Run
from torchduet.reports.text.escaping import short

MAX_FACTS = 2  # that tell machines of one name apart
TELLING = ("gpus", "accelerators", "cpu", "cores", "threads")  # the facts that are named first
_CLUTTER = re.compile(r"\((?:R|TM|tm)\)|(?<=[\s)])(?:CPU|Processor)\b|@ *[\d.]+ *[GM]Hz|\b\d+-Core\b")


@dataclass(frozen=True)
class Column:
    """One machine, or several of one key.

    Attributes:
        name: short, and of no other column.
        computers: how many machines of this key were measured; None where the files do not say.
    """

    machine: Machine
    name: str
    runs: tuple[Run, ...]
    computers: int | None

    @property
    def accelerator(self) -> str:
        """The product name of its GPU or other accelerator; empty without one."""
        return _accelerator(self.machine.facts)

    @property
    def hardware(self) -> tuple[str, ...]:
        """The name of its accelerator, else of its CPU: as the system gives it, and without trademarks and clocks."""
        name = self.accelerator or str(self.machine.facts.get("cpu") or "")
        return name, _without_clutter(name)

    @property
    def details(self) -> str:
        """The host of its accelerator, its cores and threads, and how many there are: ``2 cores · 1 thread``."""
        _, *rest = self.machine.label.split(" · ")
        return " · ".join(filter(None, (*rest, self.measurements)))

    @property
    def measurements(self) -> str:
        """``2 machines``, ``3 runs``; empty for one run of one machine."""
        if self.computers is not None and self.computers > 1:
            return f"{self.computers} machines"
        return f"{len(self.runs)} runs" if len(self.runs) > 1 else ""


class NoSuchMachine(Exception):
    """A machine that no run is of; the message is one line that lists those there are."""


def columns(runs: Sequence[Run]) -> list[Column]:
    """A column for each machine, in the order in which the runs first name them."""
    of_runs = machines([identity(facts_of(run.about)) for run in runs])
    groups: dict[str, list[Run]] = {}
    for machine, run in zip(of_runs, runs, strict=True):
        groups.setdefault(machine.key, []).append(run)
    by_key = {machine.key: machine for machine in of_runs}
    names = names_of([by_key[key] for key in groups])
    return [
        Column(by_key[key], name, tuple(group), _computers(group))
        for (key, group), name in zip(groups.items(), names, strict=True)
    ]


def base_of(found: Sequence[Column], wanted: str | None) -> int:
    """The index of the column that a user names by its key or a part of its name; the first without a name.

    Raises:
        NoSuchMachine: no column has that name, or several have it.
    """
    if not wanted:
        return 0
    exact = [at for at, column in enumerate(found) if wanted.lower() in (column.machine.key, column.name.lower())]
    part = [at for at, column in enumerate(found) if wanted.lower() in f"{column.name} {column.machine.label}".lower()]
    matching = exact or part
    if len(matching) == 1:
        return matching[0]
    known = "; ".join(f"{column.machine.key} ({column.name})" for column in found)
    reason = f"is part of {len(matching)} names" if matching else "no run is of this machine"
    raise NoSuchMachine(f"--base {wanted}: {reason}; choose one of {known}")


def names_of(found: Sequence[Machine]) -> list[str]:
    """A short name for each: its accelerator, else its CPU; those alike are told apart by facts, then by their keys."""
    own = [_short(machine.facts) for machine in found]
    names = []
    for machine, name in zip(found, own, strict=True):
        alike = [other for other, shared in zip(found, own, strict=True) if shared == name and other is not machine]
        names.append(f"{name} ({_difference(machine, alike)})" if alike else name)
    return [
        name if names.count(name) == 1 else f"{name.removesuffix(')')}, {machine.key})"
        for name, machine in zip(names, found, strict=True)
    ]


def _short(facts: Mapping[str, Fact]) -> str:
    name = _accelerator(facts) or str(facts.get("cpu") or "")
    return short(_without_clutter(name)) or "unknown machine"


def _without_clutter(name: str) -> str:
    return " ".join(_CLUTTER.sub(" ", name).split()) or name.strip()


def _accelerator(facts: Mapping[str, Fact]) -> str:
    return str(facts.get("gpu") or facts.get("accelerator") or "")


def _difference(machine: Machine, alike: Iterable[Machine]) -> str:
    """The facts in which a machine differs from others: ``8 cores, 1 thread``; its key if there is none."""
    others = list(alike)
    differing = [
        name for name in machine.facts if any(other.facts.get(name) != machine.facts[name] for other in others)
    ]
    ordered = sorted(differing, key=lambda name: TELLING.index(name) if name in TELLING else len(TELLING))
    return ", ".join(_fact(name, machine.facts[name]) for name in ordered[:MAX_FACTS]) or machine.key


def _fact(name: str, value: Fact) -> str:
    if name.endswith("_bytes") and isinstance(value, int | float):
        value *= GIB
    if name in ("cores", "threads", "gpus", "accelerators") and isinstance(value, int):
        noun = {"gpus": "GPUs"}.get(name, name)
        return f"{value} {noun if value != 1 else noun.removesuffix('s')}"
    return f"{name_of(name)} {in_words(name, value)}"


def _computers(runs: Sequence[Run]) -> int | None:
    """How many hosts a merged run's parts name; None where no file names any."""
    nodes = {node for run in runs for part in run.about.get("parts", []) if (node := part["node"])}
    return len(nodes) or None
