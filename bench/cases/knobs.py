"""What the measuring side does with the knobs of :mod:`torchduet.bench.record.knobs`: options, settings, references.

A knob whose settings are a list of words needs nothing here: a workload declares them with ``knobs=``, and they are
chosen as the tier or the option says. ``RULES`` holds what is otherwise with those that came first. No torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.cases.option_values import parse_devices, parse_list, parse_workers
from torchduet.bench.record.devices import on_host
from torchduet.bench.record.knobs import BY_NAME, IMPLEMENTATION, KNOBS, Knob
from torchduet.suites.cpus import cores, twice
from torchduet.suites.devices import DEVICES, runs_on
from torchduet.suites.workload import (
    IMPLIED,
    MODES,
    PRECISIONS,
    Axis,
    Implementation,
    SuiteError,
    Workload,
)

Setting = str | int | None  # None: the workload does not have the knob
Asked = Mapping[str, Sequence[str | int]]  # knob → the settings that were asked for by name


@dataclass(frozen=True)
class Rule:
    """How a knob is chosen and limited.

    Attributes:
        values: every setting that can be named, for ``--help`` and for what a machine lacks.
        parse: (option, its text) → settings; None stays None. Raises ``OptionError``.
        declared: (workload, knob) → the settings that its author lists, with their tiers; None: it lacks the knob.
        chosen: (workload, its axis, tier, what was asked for) → the settings that cases have.
        reference: (workload, usable devices) → the reference's setting, where the knob itself does not say it.
        limit: (implementation, setting) → whether the implementation has it.
        declare: the workload's argument that lists the settings; empty where there is no such hint to give.
    """

    values: tuple[str, ...] = ()
    parse: Callable[[str, str | None], tuple[str | int, ...] | None] | None = None
    declared: Callable[[Workload, str], Axis | None] = lambda workload, name: workload.knobs.get(name)
    chosen: Callable[[Axis, str, Sequence[str | int] | None], Sequence[str | int]] | None = None
    reference: Callable[[Workload, Sequence[str]], Setting] | None = None
    limit: Callable[[Implementation, str], bool] = lambda *_: True
    declare: str = ""


def usable(workload: Workload, devices: Sequence[str]) -> list[str]:
    """Those of the devices that the workload runs on."""
    return [device for device in devices if runs_on(workload.devices, device)]


def worker_counts(workload: Workload, tier: str) -> list[int]:
    """The workload's numbers of DataLoader workers on this machine at a tier, ascending."""
    return [] if workload.workers is None else _counts(workload.workers, tier)


def _counts(axis: Axis, tier: str, asked: Sequence[str | int] | None = None) -> list[int]:
    if asked:
        return [int(count) for count in asked]  # any number may be asked for
    here = {"cores": cores(), "2x cores": twice(cores())}
    return sorted({count if isinstance(count, int) else here[count] for count in axis.up_to(tier)})


def _modes(axis: Axis, tier: str, asked: Sequence[str | int] | None) -> Sequence[str | int]:
    """Whatever can be compiled has the modes that are implied, where they are asked for."""
    if asked is None:
        return axis.up_to(tier)
    every = [*map(str, axis.up_to("full"))]
    if "compile" in every:
        every += [mode for mode in IMPLIED if mode not in every]
    return [mode for mode in asked if mode in every]


def _has_mode(implementation: Implementation, mode: str) -> bool:
    limit = implementation.modes
    return limit is None or ("compile" if mode in IMPLIED and mode not in limit else mode) in limit


def _first_device(workload: Workload, devices: Sequence[str]) -> Setting:
    here = usable(workload, devices)
    return next(filter(on_host, here), next(iter(here), None))


RULES: Mapping[str, Rule] = {
    IMPLEMENTATION: Rule(
        declared=lambda workload, _: Axis([*workload.implementations]),
        reference=lambda workload, _: next(iter(workload.implementations)),
    ),
    "device": Rule(
        values=DEVICES,
        parse=lambda _, text: parse_devices(text),
        declared=lambda workload, _: Axis(workload.devices),
        chosen=lambda axis, _, asked: [
            device for device in asked or () if runs_on([*map(str, axis.up_to("full"))], str(device))
        ],
        reference=_first_device,
        limit=lambda one, device: one.devices is None or runs_on(one.devices, device),
    ),
    "mode": Rule(
        values=MODES,
        declared=lambda workload, _: workload.modes,
        chosen=_modes,
        limit=_has_mode,
        declare="modes=",
    ),
    "precision": Rule(
        values=PRECISIONS,
        declared=lambda workload, _: workload.precisions,
        limit=lambda one, precision: one.precisions is None or precision in one.precisions,
        declare="precisions=",
    ),
    "workers": Rule(
        parse=lambda _, text: parse_workers(text),
        declared=lambda workload, _: workload.workers,
        chosen=_counts,
        reference=lambda workload, _: None if workload.workers is None else min(worker_counts(workload, "full")),
    ),
}
GENERAL = Rule()
OPTIONS: tuple[Knob, ...] = tuple(knob for knob in KNOBS if knob.option)


def rule_of(knob: Knob) -> Rule:
    """A knob's rule; that of any other for one without its own."""
    return RULES.get(knob.name, GENERAL)


def values_of(knob: Knob) -> tuple[str, ...]:
    """Every setting of a knob that can be named in advance."""
    return rule_of(knob).values or knob.values


def help_of(knob: Knob) -> str:
    """What its option takes, for ``--help``."""
    return knob.option.format(values=", ".join(values_of(knob)))


def hint_of(knob: Knob) -> str:
    """How a workload's author declares a knob's settings; empty where nothing has to be declared."""
    if knob.name in RULES:
        return rule_of(knob).declare
    return f"knobs={{{knob.name!r}: …}}"


def parse(knob: Knob, text: str | None) -> tuple[str | int, ...] | None:
    """The settings that were asked for by a knob's option; None for none.

    Raises:
        OptionError: its text is not what the option takes.
    """
    own = rule_of(knob).parse
    return own(knob.flag, text) if own else parse_list(knob.flag, text, values_of(knob))


def settings_here(knob: Knob, workload: Workload, tier: str, asked: Sequence[str | int] | None) -> Sequence[Setting]:
    """The settings that a workload's cases have: what was asked for by name, at any tier; otherwise the tier's.

    One value stands for a knob that the workload does not turn: its reference's setting, None for want of one.
    """
    rule = rule_of(knob)
    axis = rule.declared(workload, knob.name)
    if axis is None:
        return [knob.reference] if asked is None or knob.reference in asked or not knob.reference else []
    if rule.chosen is not None:
        return rule.chosen(axis, tier, asked)
    if asked is not None:
        every = axis.up_to("full")
        return [setting for setting in asked if setting in every]
    return axis.up_to(tier) or [knob.reference]


def check_declared(workload: Workload) -> None:
    """Hold what a workload declares with ``knobs=`` against the knobs that there are.

    Raises:
        SuiteError: an unknown knob, one that has an argument of its own, or a setting that it does not have.
    """
    for name, axis in workload.knobs.items():
        where = f"suite {workload.suite!r}, workload {workload.name!r}: knobs"
        known = [knob.name for knob in KNOBS if knob.name not in RULES]
        if name not in known:
            raise SuiteError(f"{where} has {name!r}; known are {', '.join(known)}")
        unknown = [str(value) for value in axis.up_to("full") if value not in BY_NAME[name].values]
        if unknown:
            choices = ", ".join(BY_NAME[name].values)
            raise SuiteError(f"{where}[{name!r}] has {', '.join(unknown)}; known are {choices}")
        if BY_NAME[name].reference not in axis.up_to("full"):
            raise SuiteError(f"{where}[{name!r}] lacks {BY_NAME[name].reference}, what the others are held against")


# In the order in which a family's cases follow one another: the first knob changes most slowly.
NESTED: tuple[Knob, ...] = tuple(
    sorted(KNOBS, key=lambda knob: {"device": 0, IMPLEMENTATION: 1, "precision": 2, "mode": 3}.get(knob.name, 4))
)


def variants(workload: Workload, tier: str, asked: Asked) -> Iterator[dict[str, Setting]]:
    """Every combination of settings that a workload has at a tier: knob → setting.

    Args:
        asked: the settings that were asked for by name; of the device, those to use.
    """
    choices = [settings_here(knob, workload, tier, asked.get(knob.name)) for knob in NESTED]
    for chosen in itertools.product(*choices):
        settings = dict(zip((knob.name for knob in NESTED), chosen, strict=True))
        implementation = workload.implementations[str(settings[IMPLEMENTATION])]
        if all(rule_of(knob).limit(implementation, str(settings[knob.name])) for knob in KNOBS):
            yield settings


def reference_settings(workload: Workload, devices: Sequence[str]) -> dict[str, Setting]:
    """The settings of a family's reference: first implementation, the CPU if it runs there, eager, fp32 and so on."""
    return {knob.name: own(workload, devices) if (own := rule_of(knob).reference) else knob.reference for knob in KNOBS}
