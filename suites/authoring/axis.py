"""The axis: the values of a size or a knob, with the tier and the kinds of devices that include each."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchduet.suites.devices import is_host, own_of

TIERS = ("quick", "default", "full")
ON_EXAMPLE = "e.g. on={'cuda': Axis(quick=[4096])}"

Value = int | float | str  # a bool is an int


class SuiteError(ValueError):
    """An unusable workload or file of workloads; the message names it and says what to do."""


@dataclass(frozen=True, init=False)
class Axis:
    """Values of one axis, each with the lowest tier that includes it.

    Tiers are cumulative: ``default`` runs the quick values too, ``full`` runs all of them.

    >>> Axis(quick=[256, 1024], full=[10_000]).up_to("default")
    (256, 1024)

    An accelerator may have other values, as it only waits for launches at the sizes of a CPU. ``on=`` gives them by
    kind of device, ``"accelerator"`` for every kind but the CPU. Such a device measures its own sizes and, where the
    CPU is measured beside it, the CPU's, too.

    >>> Axis(quick=[256, 1024], on={"cuda": Axis(quick=[4096], default=[8192])}).of("cuda:0").up_to("default")
    (4096, 8192)
    """

    quick: tuple[Value, ...]
    default: tuple[Value, ...]
    full: tuple[Value, ...]
    on: Mapping[str, Axis] = field(hash=False)

    def __init__(
        self,
        quick: Sequence[Value] = (),
        default: Sequence[Value] = (),
        full: Sequence[Value] = (),
        *,
        on: Mapping[str, Axis | Sequence[Value]] | None = None,
    ) -> None:
        object.__setattr__(self, "on", _by_kind({} if on is None else on))
        for tier, values in zip(TIERS, (quick, default, full), strict=True):
            if isinstance(values, str | bytes) or not isinstance(values, Sequence):
                raise SuiteError(f"Axis: {tier}= takes a list of numbers, strings or booleans, not {values!r}")
            object.__setattr__(self, tier, tuple(_axis_value(tier, value) for value in values))
        listed = self.quick + self.default + self.full
        if not listed:
            raise SuiteError("Axis: no values; give at least one, e.g. Axis(quick=[1024])")
        if len({str(value) for value in listed}) != len(listed) or len(set(listed)) != len(listed):
            raise SuiteError(f"Axis: a value is listed twice in {listed}; tiers are cumulative, list each once")

    def of(self, device: str) -> Axis:
        """The axis of a device such as ``cuda:0``: its kind's own, or this one."""
        own = own_of(self.on, device)
        return self if own is None else own

    def everywhere(self) -> tuple[Value, ...]:
        """The values that run on any kind of device, in any tier, each once."""
        return tuple(dict.fromkeys(value for axis in (self, *self.on.values()) for value in axis.up_to("full")))

    def up_to(self, tier: str) -> tuple[Value, ...]:
        """The values that run at ``tier``, numbers in ascending order, others as they are listed."""
        values: tuple[Value, ...] = ()
        for name in TIERS[: TIERS.index(tier) + 1]:
            values += getattr(self, name)
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        return tuple(sorted(numbers)) if len(numbers) == len(values) else values

    def tier_of(self, value: Value) -> str:
        """The lowest tier that includes ``value``."""
        for name in TIERS:
            if value in getattr(self, name):
                return name
        raise KeyError(value)


def _axis_value(tier: str, value: Any) -> Value:
    """A value of an axis as a number, a bool or a text of Python's own."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    number = plain(value)
    if not isinstance(number, int | float):
        raise SuiteError(f"Axis: {tier}= takes a list of numbers, strings or booleans; {value!r} is none of these")
    if not math.isfinite(number) or (
        isinstance(number, float) and not isinstance(value, float) and abs(number) >= 2**63
    ):
        raise SuiteError(f"Axis: {tier}= has {value!r}; a number must be finite, and a whole one below 2**63")
    return number


def _by_kind(on: Mapping[str, Axis | Sequence[Value]]) -> Mapping[str, Axis]:
    """The axes by kinds of devices.

    Raises:
        SuiteError: no such mapping, a device that cannot have values of its own, or values that cannot be used.
    """
    if not isinstance(on, Mapping):
        raise SuiteError(f"Axis: on= takes a mapping from kinds of devices to axes, {ON_EXAMPLE}, not {on!r:.80}")
    axes: dict[str, Axis] = {}
    for kind, values in on.items():
        if not isinstance(kind, str) or is_host(kind) or ":" in kind:
            raise SuiteError(
                f"Axis: on= has {kind!r}; name kinds of devices, {ON_EXAMPLE}; the CPU's values are the axis' own"
            )
        try:
            axes[kind] = as_axis(values)
        except SuiteError as error:
            raise SuiteError(f"Axis: on[{kind!r}] cannot be used: {str(error).removeprefix('Axis: ')}") from None
        if axes[kind].on:
            raise SuiteError(f"Axis: on[{kind!r}] has on= itself; give each kind of device once, {ON_EXAMPLE}")
    return axes


def as_axis(values: Axis | Sequence[Value]) -> Axis:
    """The axis of these values; all values of a list run in the quick tier already."""
    return values if isinstance(values, Axis) else Axis(quick=values)


def plain(number: Any) -> Any:
    """A number as an int below 2**63 if it is whole, else as a float; anything else is returned as it is."""
    if isinstance(number, bool | str | bytes):
        return number
    try:
        whole = operator.index(number)
    except TypeError:
        whole = None
    if whole is not None and abs(whole) < 2**63:
        return whole
    try:
        return float(number)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return number
