"""Why a case cannot run on this machine, and which settings no case can use here.

The machine and the environment give what each device lacks, setting by setting; the registry of knobs gives the
settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.knobs import values_of
from torchduet.bench.host.gpus import variables
from torchduet.bench.host.machine import ANY_GPU, CUDA, NOT_ON_HOSTS, Machine
from torchduet.bench.record.devices import device_kind, on_host
from torchduet.bench.record.knobs import KNOBS

DEVICE = "device"
RANKS = "ranks"


@dataclass(frozen=True)
class Obstacle:
    """The knob whose setting this machine cannot run, and why."""

    knob: str
    why: str


def unavailable(machine: Machine, case: Case) -> Obstacle | None:
    """Why a case cannot run here; None if it can."""
    if why := machine.absent(case.device):
        return Obstacle(DEVICE, why)
    if case.ranks is not None and (why := _too_many_ranks(machine, case.device, case.ranks)):
        return Obstacle(RANKS, why)
    lacking = {**variables.lacking(case.device), **machine.lacks(case.device)}
    for knob in sorted(KNOBS, key=lambda entry: -entry.rank):  # a lacking precision explains more than a lacking mode
        setting = str(case.setting(knob.name))
        if setting in values_of(knob) and setting in lacking:
            return Obstacle(knob.name, lacking[setting])
    return None


def _too_many_ranks(machine: Machine, device: str, ranks: int) -> str:
    """Why so many ranks cannot each have a core or a GPU, or a process that was started; empty where they can."""
    started, number = machine.processes, machine.processors(device)
    if started is not None:
        if ranks > started.number:
            return started.obstacle(ranks)
        if on_host(device) or number >= started.here:  # on other machines, too, as far as is known here
            return ""
    what = "cores that this run may use" if on_host(device) else f"{device_kind(device).upper()} GPUs"
    return f"{ranks} ranks need {ranks} {what}; there are {number}" if ranks > number else ""


def missing(machine: Machine) -> list[tuple[str, str]]:
    """(variant, reason) for everything that is left out on this machine unless it is asked for by name.

    A setting that no device has is named alone. A setting that some kinds of devices lack is named with each kind. The
    settings that every GPU has are named with the missing GPU.
    """
    left_out = []
    no_gpu = machine.absent(CUDA)
    if no_gpu:
        left_out.append((CUDA, f"{no_gpu}; so there is no {', '.join(ANY_GPU)} either"))
    for knob in KNOBS:
        for setting in values_of(knob) if knob.name != DEVICE else ():
            if not (no_gpu and setting in ANY_GPU):
                left_out += _missing(machine, setting)
    return left_out


def _missing(machine: Machine, setting: str) -> Iterator[tuple[str, str]]:
    """A setting: alone where no device has it, else with each kind of device that could have it but lacks it."""
    reasons: dict[str, list[str]] = {}
    for device in machine.every():
        lacks = {**variables.lacking(device), **machine.lacks(device)}
        reasons.setdefault(device_kind(device), []).append(lacks.get(setting, ""))
    lacking = {kind: whys[0] for kind, whys in reasons.items() if all(whys)}
    sensible = {kind: why for kind, why in lacking.items() if not (on_host(kind) and setting in NOT_ON_HOSTS)}
    if len(lacking) == len(reasons):
        yield setting, next(iter((sensible or lacking).values()))
    else:
        yield from ((f"{setting} on {kind}", why) for kind, why in sensible.items())
