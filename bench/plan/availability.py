"""What a case needs that this machine may not have: why one cannot run here, and which settings none can use here.

What each setting needs is said by the knobs' rules (:mod:`torchduet.bench.cases.knobs`), what there is by the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.knobs import Need, kind_of, need_of, values_of
from torchduet.bench.host.machine import Machine
from torchduet.bench.record.knobs import KNOBS
from torchduet.suites.workload import DEVICES

DEVICE = "device"


@dataclass(frozen=True)
class Obstacle:
    """The knob whose setting this machine cannot run, and why."""

    knob: str
    why: str


def unavailable(machine: Machine, case: Case) -> Obstacle | None:
    """What keeps a case from running here; None if it can."""
    if why := machine.no_device(case.device):
        return Obstacle(DEVICE, why)
    for knob in sorted(KNOBS, key=lambda one: -one.rank):  # a precision that is not there says more than its mode
        if why := lacking(machine, case.device, need_of(knob, case.setting(knob.name))):
            return Obstacle(knob.name, why)
    return None


def lacking(machine: Machine, device: str, need: Need) -> str:
    """What a device that is there lacks of what a setting needs; empty if it has all of it."""
    if need.kinds is not None and kind_of(device) not in need.kinds:
        return need.words
    capability = machine.capability(device)
    if capability is not None and capability < need.capability:
        return f"{need.words}; this one has {capability[0]}.{capability[1]}"
    return machine.no_compiler(device) if need.compiler else ""


def missing(machine: Machine) -> list[tuple[str, str]]:
    """(variant, reason) for everything that is left out on this machine unless it is asked for by name.

    A setting that no device here has is named by itself, one that only some lack with the kind of these. What takes
    nothing but a kind of device that is not here is named with that.
    """
    absent = {kind: why for kind in DEVICES if (why := machine.no_device(kind))}
    found = [(kind, why + _with_it(kind)) for kind, why in absent.items()]
    for knob in KNOBS:
        for setting in values_of(knob) if knob.name != DEVICE else ():
            need = need_of(knob, setting)
            if not need.kinds or not set(need.kinds) <= absent.keys() or need.capability > (0, 0):
                found += _missing(machine, setting, need, [kind for kind in DEVICES if kind not in absent])
    return found


def _missing(machine: Machine, setting: str, need: Need, kinds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A setting, once where no device has it, else with each kind of device that should and has not."""
    reasons = {kind: _lacking_everywhere(machine, kind, need) for kind in kinds}
    sensible = [kind for kind in kinds if need.kinds is None or kind in need.kinds]
    if all(reasons.values()):
        yield setting, next((reasons[kind] for kind in sensible), need.words)
    else:
        yield from ((f"{setting} on {kind}", reasons[kind]) for kind in sensible if reasons[kind])


def _lacking_everywhere(machine: Machine, kind: str, need: Need) -> str:
    """What every device of a kind lacks; empty if one has all that is needed."""
    reasons = [lacking(machine, device, need) for device in machine.every(kind)]
    return reasons[0] if all(reasons) else ""


def _with_it(kind: str) -> str:
    """What goes without saying where a kind of device is not there."""
    names = [
        setting
        for knob in KNOBS
        for setting in values_of(knob)
        if (need := need_of(knob, setting)).kinds == (kind,) and need.capability == (0, 0)
    ]
    return f"; so there is no {', '.join(names)} either" if names else ""
