"""The types with which an author describes a workload.

A workload says what is computed; the engine decides how it is timed, compiled and placed.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchduet.suites.cpus import cores as cores
from torchduet.suites.cpus import usable_cpus as usable_cpus
from torchduet.suites.devices import DEVICES

TIERS = ("quick", "default", "full")
COMPILED = ("compile", "compile-model", "reduce-overhead", "max-autotune")  # modes with torch.compile
MODES = ("eager", *COMPILED, "graph")
IMPLIED = ("reduce-overhead", "max-autotune")  # modes of every workload that can be compiled, if --mode names them
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
CORES = ("cores", "2x cores")  # numbers of workers that depend on the machine

Value = int | float | str  # a bool is an int
Size = Mapping[str, Value]


class SuiteError(ValueError):
    """An unusable workload or file of workloads; the message names it and says what to do."""


class Unavailable(Exception):
    """Raised if something cannot run here; the message says what is missing and how to get it."""


class Meter:
    """Takes notes of a function about its own call; it is passed as the parameter ``meter``.

    This class keeps nothing; that of the engine keeps a value per call.
    """

    def lap(self, name: str) -> None:
        """End a phase: note the seconds since the last lap, or since the call began."""

    def value(self, name: str, number: float, unit: str = "") -> None:
        """Note a number, such as the epochs that a training took or the bytes of a file."""


@dataclass(frozen=True)
class Cost:
    """The least cost of one call, from which throughput is computed.

    Attributes:
        flops: floating-point operations (a multiply-add counts as two).
        bytes: bytes that must be read and written, each operand once.
        samples: training or inference samples processed.
    """

    flops: float | None = None
    bytes: float | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        """Take the numbers of NumPy and torch as Python's own; a record has whole numbers below 2**63 only."""
        for name in ("flops", "bytes", "samples"):
            amount = getattr(self, name)
            if amount is not None and (type(amount) is not int or abs(amount) >= 2**63):
                object.__setattr__(self, name, _plain(amount))


def _plain(number: Any) -> Any:
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


@dataclass(frozen=True, init=False)
class Axis:
    """Values of one axis, each with the lowest tier that includes it.

    Tiers are cumulative: ``default`` runs the quick values too, ``full`` runs all of them.

    >>> Axis(quick=[256, 1024], full=[10_000]).up_to("default")
    (256, 1024)
    """

    quick: tuple[Value, ...]
    default: tuple[Value, ...]
    full: tuple[Value, ...]

    def __init__(
        self,
        quick: Sequence[Value] = (),
        default: Sequence[Value] = (),
        full: Sequence[Value] = (),
    ) -> None:
        for tier, values in zip(TIERS, (quick, default, full), strict=True):
            if isinstance(values, str | bytes) or not isinstance(values, Sequence):
                raise SuiteError(f"Axis: {tier}= takes a list of numbers, strings or booleans, not {values!r}")
            object.__setattr__(self, tier, tuple(_axis_value(tier, value) for value in values))
        listed = self.quick + self.default + self.full
        if not listed:
            raise SuiteError("Axis: no values; give at least one, e.g. Axis(quick=[1024])")
        if len({str(value) for value in listed}) != len(listed) or len(set(listed)) != len(listed):
            raise SuiteError(f"Axis: a value is listed twice in {listed}; tiers are cumulative, list each once")

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
    number = _plain(value)
    if not isinstance(number, int | float):
        raise SuiteError(f"Axis: {tier}= takes a list of numbers, strings or booleans; {value!r} is none of these")
    if not math.isfinite(number) or (
        isinstance(number, float) and not isinstance(value, float) and abs(number) >= 2**63
    ):
        raise SuiteError(f"Axis: {tier}= has {value!r}; a number must be finite, and a whole one below 2**63")
    return number


def as_axis(values: Axis | Sequence[Value]) -> Axis:
    """The axis of these values; all values of a list run in the quick tier already."""
    return values if isinstance(values, Axis) else Axis(quick=values)


@dataclass(frozen=True)
class Implementation:
    """One way to compute the result of a workload, if a function alone does not say enough.

    Attributes:
        function: the timed function; with ``setup``, a function that makes it.
        setup: ``function(*inputs)`` is called once, outside the timing, and returns the timed function of the
            inputs, such as an exported program, a session or a logger. If that holds memory of its own, it should
            have a method ``renew()``, which returns the same with other memory, for each placement.
        modes, precisions, devices: its variants, if they are fewer than those of the workload; ``"accelerator"``
            among the devices means all but the CPU.
        bind: makes ``function`` read other values than those that it captured, for a workload with ``captured``.
    """

    function: Callable[..., Any]
    setup: bool = False
    modes: tuple[str, ...] | None = None
    precisions: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    bind: Callable[[Sequence[Any]], Callable[..., Any]] | None = None


@dataclass(frozen=True)
class Workload:
    """A named computation with its sizes.

    Its functions may have parameters of these names: ``autocast``, a factory of context managers (the function
    then decides which part runs in reduced precision; otherwise all of it does); ``workers``, the number of
    DataLoader workers of the case; ``seed``, a whole number that is 0 for the check, changes with every placement
    and is the same for all cases; ``meter``, a :class:`Meter`.

    Attributes:
        suite: name of the suite it belongs to.
        name: its name within the suite.
        about: what it computes, in one line.
        inputs: ``inputs(device, **size)`` returns the tuple of arguments, allocated on ``device``.
        implementations: name → function of those arguments, all computing the same result. The first
            is the reference.
        axes: size axes; a combination's tier is the highest among its values.
        modes, precisions: the variants that make sense, with the tier of each.
        devices: the kinds of devices on which it can run; ``"accelerator"`` means all but the CPU.
        workers: numbers of DataLoader workers, whole numbers, ``"cores"`` or ``"2x cores"``; None if it has
            no such knob.
        knobs: any other knob by its name → the settings that make sense, with the tier of each.
        cost: ``cost(**size)`` of one call, or None if it is unknown.
        deterministic: False for random results: then only shapes, dtypes and finiteness are checked.
        observe: ``observe(inputs, result)`` returns the tensors to check, if the result alone does not show
            the work (such as the gradients and parameters of a training step).
        tolerance: relative Frobenius error allowed, if it differs from the default: per precision, or per
            implementation, as a number or per precision: ``{"bf16": 0.1, "int8": 0.05, "fp8": {"bf16": 0.3}}``.
        check: False: its results are not compared with anything; every table marks its cases as not checked.
        mutates: names of the arguments that a call changes, where it does not show in the first call; they are what
            they were before each call. Arguments that the first call changes are restored without being named.
        scratch: names of the arguments whose contents do not matter to the next call, such as a buffer for ``out=``;
            they are not restored.
        fresh: the inputs are made anew, with other values, before each call.
        call_seconds: roughly how long a call takes, for calls beyond some milliseconds: a number, or
            ``call_seconds(**size)``; the budget sets eight calls of each case aside.
        memory: whether the peak of memory allocated by a call is measured, in a pass of its own.
        captured: names of what the functions read beside their arguments. ``inputs`` returns these values after the
            arguments, and each implementation's ``bind`` makes its function of them.
    """

    suite: str
    name: str
    about: str
    inputs: Callable[..., Sequence[Any]]
    implementations: Mapping[str, Implementation]
    axes: Mapping[str, Axis]
    modes: Axis
    precisions: Axis
    devices: tuple[str, ...] = DEVICES
    workers: Axis | None = None
    knobs: Mapping[str, Axis] = field(default_factory=dict)
    cost: Callable[..., Cost] | None = None
    deterministic: bool = True
    observe: Callable[[Sequence[Any], Any], Any] | None = None
    tolerance: Mapping[str, float | Mapping[str, float]] = field(default_factory=dict)
    check: bool = True
    mutates: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    fresh: bool = False
    call_seconds: float | Callable[..., float] = 0.0
    memory: bool = False
    captured: tuple[str, ...] = ()

    def split(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The arguments among what ``inputs`` returned, and the captured values."""
        count = len(inputs) - len(self.captured)
        return tuple(inputs[:count]), tuple(inputs[count:])

    def seconds_of(self, size: Size) -> float:
        """Roughly how many seconds one call takes at a size; 0 if the author gives none."""
        return self.call_seconds(**size) if callable(self.call_seconds) else self.call_seconds

    def sizes(self, tier: str) -> Iterator[dict[str, Value]]:
        """Every combination of axis values that runs at ``tier``."""
        names = list(self.axes)
        for values in itertools.product(*(axis.up_to(tier) for axis in self.axes.values())):
            yield dict(zip(names, values, strict=True))
