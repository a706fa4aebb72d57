"""The rules of knobs for measuring: which settings a workload has, which an option or a tier selects. No torch.

A knob whose settings are a list of words needs no rule: a workload declares them with ``knobs=``, and the tier or the
option selects among them. ``RULES`` contains the exceptions. The knobs themselves are in
:mod:`torchduet.bench.record.knobs`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.cases.option_values import parse_devices, parse_list, parse_ranks, parse_workers
from torchduet.bench.record.devices import on_host
from torchduet.bench.record.knobs import BY_NAME, IMPLEMENTATION, KNOBS, Knob
from torchduet.suites.cpus import cores, twice
from torchduet.suites.devices import DEVICES, HOST, runs_on
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
    """How the settings of a knob are declared, selected and limited.

    Attributes:
        values: every setting that can be named, for ``--help`` and for the list of what a machine lacks.
        parse: (option, its text) → settings; None stays None. Raises ``OptionError``.
        declared: (workload, knob) → the settings that its author lists, with their tiers; None: it lacks the knob.
        select: (declared settings, tier, settings asked for) → the settings of the cases.
        reference: (workload, devices) → the reference's setting, where it is not the knob's own.
        supports: (implementation, setting) → whether the implementation supports the setting.
        argument: the workload's argument that lists the settings; empty where there is none.
    """

    values: tuple[str, ...] = ()
    parse: Callable[[str, str | None], tuple[str | int, ...] | None] | None = None
    declared: Callable[[Workload, str], Axis | None] = lambda workload, name: workload.knobs.get(name)
    select: Callable[[Axis, str, Sequence[str | int] | None], Sequence[str | int]] | None = None
    reference: Callable[[Workload, Sequence[str]], Setting] | None = None
    supports: Callable[[Implementation, str], bool] = lambda *_: True
    argument: str = ""


def usable(workload: Workload, devices: Sequence[str]) -> list[str]:
    """The devices that the workload runs on."""
    return [device for device in devices if runs_on(workload.devices, device)]


def worker_counts(workload: Workload, tier: str) -> list[int]:
    """The workload's numbers of DataLoader workers on this machine at a tier, ascending."""
    return [] if workload.workers is None else _counts(workload.workers, tier)


def _counts(axis: Axis, tier: str, asked: Sequence[str | int] | None = None) -> list[int]:
    if asked:
        return [int(count) for count in asked]  # any number can be asked for
    counts = {"cores": cores(), "2x cores": twice(cores())}
    return sorted({count if isinstance(count, int) else counts[str(count)] for count in axis.up_to(tier)})


def _modes(axis: Axis, tier: str, asked: Sequence[str | int] | None) -> Sequence[str | int]:
    """A workload with mode ``compile`` also has the implied modes, if they are asked for."""
    if asked is None:
        return [*map(str, axis.up_to(tier))]
    modes = [*map(str, axis.up_to("full"))]
    if "compile" in modes:
        modes += [mode for mode in IMPLIED if mode not in modes]
    return [mode for mode in asked if mode in modes]


def _has_mode(implementation: Implementation, mode: str) -> bool:
    modes = implementation.modes
    return modes is None or ("compile" if mode in IMPLIED and mode not in modes else mode) in modes


def _first_device(workload: Workload, devices: Sequence[str]) -> Setting:
    candidates = usable(workload, devices)
    return next(filter(on_host, candidates), next(iter(candidates), None))


RULES: Mapping[str, Rule] = {
    IMPLEMENTATION: Rule(
        declared=lambda workload, _: Axis([*workload.implementations]),
        reference=lambda workload, _: next(iter(workload.implementations)),
    ),
    "device": Rule(
        values=DEVICES,
        parse=lambda _, text: parse_devices(text),
        declared=lambda workload, _: Axis(workload.devices),
        select=lambda axis, _, asked: [
            device for device in asked or () if runs_on([*map(str, axis.up_to("full"))], str(device))
        ],
        reference=_first_device,
        supports=lambda implementation, device: (
            implementation.devices is None or runs_on(implementation.devices, device)
        ),
    ),
    "mode": Rule(
        values=MODES,
        declared=lambda workload, _: workload.modes,
        select=_modes,
        supports=_has_mode,
        argument="modes=",
    ),
    "precision": Rule(
        values=PRECISIONS,
        declared=lambda workload, _: workload.precisions,
        supports=lambda implementation, precision: (
            implementation.precisions is None or precision in implementation.precisions
        ),
        argument="precisions=",
    ),
    "ranks": Rule(
        parse=lambda _, text: parse_ranks(text),
        declared=lambda workload, _: workload.ranks,
        select=lambda axis, tier, asked: sorted({int(count) for count in asked or axis.up_to(tier)}),
        reference=lambda workload, _: None if workload.ranks is None else min(map(int, workload.ranks.everywhere())),
        supports=lambda implementation, ranks: not implementation.alone or ranks == "1",
        argument="ranks=",
    ),
    "workers": Rule(
        parse=lambda _, text: parse_workers(text),
        declared=lambda workload, _: workload.workers,
        select=_counts,
        reference=lambda workload, _: None if workload.workers is None else min(worker_counts(workload, "full")),
    ),
}
GENERAL = Rule()
OPTIONS: tuple[Knob, ...] = tuple(knob for knob in KNOBS if knob.option)


def rule_of(knob: Knob) -> Rule:
    """A knob's own rule, or the general one."""
    return RULES.get(knob.name, GENERAL)


def values_of(knob: Knob) -> tuple[str, ...]:
    """Every setting of a knob that can be named in advance."""
    return rule_of(knob).values or knob.values


def help_of(knob: Knob) -> str:
    """The values of its option, for ``--help``."""
    return knob.option.format(values=", ".join(values_of(knob)))


def hint_of(knob: Knob) -> str:
    """How a workload's author declares a knob's settings; empty where no declaration is needed."""
    if knob.name in RULES:
        return rule_of(knob).argument
    return f"knobs={{{knob.name!r}: …}}"


def parse(knob: Knob, text: str | None) -> tuple[str | int, ...] | None:
    """The settings in the text of a knob's option; None where the option is not given.

    Raises:
        OptionError: the text is not valid.
    """
    own_parse = rule_of(knob).parse
    return own_parse(knob.flag, text) if own_parse else parse_list(knob.flag, text, values_of(knob))


def settings_here(
    knob: Knob, workload: Workload, tier: str, asked: Sequence[str | int] | None, device: str = HOST
) -> Sequence[Setting]:
    """The settings of a workload's cases on a device: those asked for by name, at any tier; else those of the tier.

    For a knob that the workload does not have, the only setting is the knob's reference, or None.
    """
    rule = rule_of(knob)
    axis = rule.declared(workload, knob.name)
    if axis is None:
        return [knob.reference] if asked is None or knob.reference in asked or not knob.reference else []
    axis = axis.of(device)
    if rule.select is not None:
        return rule.select(axis, tier, asked)
    if asked is not None:
        declared = axis.up_to("full")
        return [setting for setting in asked if setting in declared]
    return [*map(str, axis.up_to(tier))] or [knob.reference]


def check_declared(workload: Workload) -> None:
    """Check a workload's ``knobs=`` against the registered knobs.

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
            reference = BY_NAME[name].reference
            raise SuiteError(f"{where}[{name!r}] lacks {reference}, with which the others are compared")


# The order of a family's cases: the setting of the first knob, the device, changes most slowly.
NESTED: tuple[Knob, ...] = tuple(
    sorted(KNOBS, key=lambda knob: {"device": 0, IMPLEMENTATION: 1, "precision": 2, "mode": 3}.get(knob.name, 4))
)


def variants(workload: Workload, tier: str, asked: Asked) -> Iterator[dict[str, Setting]]:
    """Every combination of settings that a workload has at a tier: knob → setting.

    Args:
        asked: knob → the settings that were asked for by name; for ``device`` those to use.
    """
    first, *others = NESTED
    for device in settings_here(first, workload, tier, asked.get(first.name)):
        choices = [settings_here(knob, workload, tier, asked.get(knob.name), str(device)) for knob in others]
        for combination in itertools.product([device], *choices):
            settings = dict(zip((knob.name for knob in NESTED), combination, strict=True))
            implementation = workload.implementations[str(settings[IMPLEMENTATION])]
            if all(rule_of(knob).supports(implementation, str(settings[knob.name])) for knob in KNOBS):
                yield settings


def reference_settings(workload: Workload, devices: Sequence[str]) -> dict[str, Setting]:
    """The settings of a family's reference: first implementation, the CPU if it runs there, eager, fp32 and so on."""
    return {knob.name: own(workload, devices) if (own := rule_of(knob).reference) else knob.reference for knob in KNOBS}
