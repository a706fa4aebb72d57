"""Describes the machine and what it can measure, before it takes part in a fleet."""

from __future__ import annotations

import platform

import numpy

import torchduet
from torchduet.bench.cases.case import Family
from torchduet.bench.fleet.kinds import OWN_FILES
from torchduet.bench.fleet.messages import FamilyPlan, Planned
from torchduet.bench.fleet.node.prepared import Prepared
from torchduet.bench.plan.budget import Budget, call_seconds
from torchduet.bench.plan.first_visits import in_turns
from torchduet.bench.record.machines.facts import facts_of as machine_facts_of
from torchduet.bench.record.machines.key import Machine as LabelledMachine
from torchduet.bench.record.machines.key import identity as machine_identity
from torchduet.bench.record.machines.key import key_of
from torchduet.bench.record.run_record import run_record
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.resume import identity, sources
from torchduet.bench.run.run_facts import facts_of


def planned(prepared: Prepared) -> Planned:
    """The machine, and the families that it can measure."""
    measuring = prepared.session.measuring
    settings, families = measuring.settings, measuring.progress.families
    about = run_record(facts_of(measuring, gpus=measuring.timeline.records()))
    budget = Budget(settings.options.budget_seconds, families, call_seconds(families))
    key = key_of(about)
    accelerators = list(dict.fromkeys(settings.machine.accelerator_names()))
    return Planned(
        host=platform.node(),
        machine=key,
        accelerator=", ".join(accelerators) or settings.machine.cpu,
        label=LabelledMachine(key, machine_identity(machine_facts_of(about))).label,
        versions=versions(measuring),
        identity=identity(measuring),
        budget=settings.options.budget_seconds,
        families=[_plan(family, budget) for family in families],
        in_turns=[family.name for family in in_turns(families, budget.least)],
        unmatched=list(prepared.unmatched),
    )


def versions(measuring: Measuring) -> dict[str, str]:
    """What must be equal on all machines of a fleet, for their records to form one."""
    machine = measuring.settings.machine
    drivers = {str(gpu["facts"]["driver"]) for gpu in measuring.timeline.records() if gpu["facts"].get("driver")}
    of_drivers = {"driver": ", ".join(sorted(drivers))} if drivers else {}
    own = sources(())
    return {
        "torchduet": torchduet.__version__,
        **{f"{OWN_FILES} ({name})": digest for name, digest in own.items()},
        "torch": machine.torch,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        **of_drivers,
    }


def _plan(family: Family, budget: Budget) -> FamilyPlan:
    cases = {case.id: dict(case.record(reference=False)) for case in family.reported}
    return FamilyPlan(name=family.name, seconds=budget.guess(family), least=budget.least(family), cases=cases)
