"""Takes the runs of several machines out of their merged file: each is read as if it had a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torchduet.bench.record.machines.facts import facts_of
from torchduet.bench.record.machines.key import Machine, identity, key_of
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError, shown
from torchduet.reports.read.benchmarks import record_of
from torchduet.reports.read.run import Run

MACHINES = "machines"


def is_of_several(document: object) -> bool:
    """Whether a document holds the runs of several machines."""
    about = document.get(KEY) if isinstance(document, dict) else None
    return isinstance(about, dict) and MACHINES in about


def runs(document: Any, name: str, read: Callable[[Any, str], Run]) -> list[Run]:
    """The run of each machine.

    Args:
        document: decoded JSON for which :func:`is_of_several` holds.
        read: makes a run from the document of one machine.

    Raises:
        ContractError: the document is malformed; the message names the key.
    """
    machines, benchmarks = document[KEY][MACHINES], document.get("benchmarks")
    if not isinstance(machines, dict) or not machines:
        raise ContractError(f"{KEY}.{MACHINES}: expected an object with a run for each machine, got {shown(machines)}")
    if not isinstance(benchmarks, list):
        raise ContractError(f"benchmarks: expected a list, got {shown(benchmarks)}")
    others = 0
    of_machine: dict[str, list[Any]] = {key: [{}] * len(benchmarks) for key in machines}
    for index, benchmark in enumerate(benchmarks):
        record = record_of(benchmark)
        key = record.get("machine") if isinstance(record, dict) else None
        if record is None:
            others += 1
        elif isinstance(key, str) and key in of_machine:
            of_machine[key][index] = benchmark
        else:
            where = f"benchmarks[{index}].extra_info.{KEY}.machine"
            raise ContractError(f"{where}: expected a key of {KEY}.{MACHINES}, got {shown(key)}")
    found = []
    for key, about in machines.items():
        try:
            run = read({**document, "benchmarks": of_machine[key], KEY: about}, name)
        except ContractError as error:
            raise ContractError(f"machine {shown(key)}: {error}") from None
        found.append(replace(run, machine=key, other_benchmarks=others))
    return found


def chosen(runs: Sequence[Run], wanted: str | None) -> Run:
    """The run of the machine that is meant.

    Args:
        wanted: its key or a part of its name; None: there is only one.

    Raises:
        ContractError: it is none of the machines, or not clear which; the message names them.
    """
    if wanted is None:
        if len(runs) > 1:
            raise ContractError(
                f"holds the runs of {len(runs)} machines; choose one with --machine KEY: {in_words(runs)}"
            )
        return runs[0]
    machines = [machine_of(run) for run in runs]
    matching = [run for run, machine in zip(runs, machines, strict=True) if matches(machine, wanted)]
    if len(matching) == 1:
        return matching[0]
    which = f"{len(matching)} of its machines are" if matching else "none of its machines is"
    raise ContractError(f"--machine {wanted}: {which} meant by that; choose a key of {in_words(runs)}")


def matches(machine: Machine, wanted: str) -> bool:
    """Whether a machine is meant by its key or by a part of its name."""
    return machine.key == wanted.lower() or wanted.lower() in machine.label.lower()


def machine_of(run: Run) -> Machine:
    """The machine of a run."""
    return Machine(run.machine or key_of(run.about), identity(facts_of(run.about)))


def in_words(runs: Sequence[Run]) -> str:
    """``1a2b3c4d (AMD EPYC · 2 cores · 1 thread)`` of each machine."""
    return "; ".join(f"{machine.key} ({machine.label})" for machine in map(machine_of, runs))
