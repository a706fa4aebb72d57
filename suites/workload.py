"""What a workload is: the type its author fills in, and the suite that collects them.

A workload says what is computed, never how it is timed, compiled or placed: the engine does that.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

TIERS = ("quick", "default", "full")
MODES = ("eager", "compile", "compile-model")
PRECISIONS = ("fp32", "tf32", "bf16")
DEVICES = ("cpu", "cuda")

Value = int | str
Size = Mapping[str, Value]


class SuiteError(ValueError):
    """A workload or a file of workloads that cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Cost:
    """What one call costs at the least: the figures that throughput is computed from.

    Attributes:
        flops: floating-point operations (a multiply-add counts as two).
        bytes: bytes that must be read and written, each operand once.
        samples: training or inference samples processed.
    """

    flops: float | None = None
    bytes: float | None = None
    samples: int | None = None


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
            if isinstance(values, str) or not all(isinstance(v, int | str) and not isinstance(v, bool) for v in values):
                raise SuiteError(f"Axis: {tier}= takes a list of whole numbers or strings, not {values!r}")
            object.__setattr__(self, tier, tuple(values))
        every = self.quick + self.default + self.full
        if not every:
            raise SuiteError("Axis: no values; give at least one, e.g. Axis(quick=[1024])")
        if len(set(every)) != len(every):
            raise SuiteError(f"Axis: a value is listed twice in {every}; tiers are cumulative, list each once")

    def up_to(self, tier: str) -> tuple[Value, ...]:
        """The values that run at ``tier``, numbers in ascending order."""
        values: tuple[Value, ...] = ()
        for name in TIERS[: TIERS.index(tier) + 1]:
            values += getattr(self, name)
        if all(isinstance(v, int) for v in values):
            return tuple(sorted(values))
        return values

    def tier_of(self, value: Value) -> str:
        """The lowest tier that includes ``value``."""
        for name in TIERS:
            if value in getattr(self, name):
                return name
        raise KeyError(value)


def as_axis(values: Axis | Sequence[Value]) -> Axis:
    """A plain list means: all of it in the quick tier already."""
    return values if isinstance(values, Axis) else Axis(quick=values)


@dataclass(frozen=True)
class Workload:
    """A named computation with its sizes.

    Attributes:
        suite: name of the suite it belongs to.
        name: its name within the suite.
        about: one line that says what it computes.
        inputs: ``inputs(device, **size)`` returns the tuple of arguments, allocated on ``device``.
        implementations: name → function of those arguments, all computing the same result. The first
            is the reference. A function with a parameter named ``autocast`` gets a factory of context
            managers for it and decides itself which part runs in reduced precision; otherwise the
            whole function does.
        axes: size axes; a combination's tier is the highest among its values.
        modes, precisions: the variants that make sense, with the tier of each.
        devices: where it can run.
        cost: ``cost(**size)`` of one call, or None where it is unknown.
        deterministic: False for random results: then only shapes, dtypes and finiteness are checked.
        observe: ``observe(inputs, result)`` returns the tensors to check, when the result alone does
            not show the work (a training step's gradients and parameters).
        tolerance: relative Frobenius error allowed per precision, where it differs from the engine's.
    """

    suite: str
    name: str
    about: str
    inputs: Callable[..., Sequence[Any]]
    implementations: Mapping[str, Callable[..., Any]]
    axes: Mapping[str, Axis]
    modes: Axis
    precisions: Axis
    devices: tuple[str, ...] = DEVICES
    cost: Callable[..., Cost] | None = None
    deterministic: bool = True
    observe: Callable[[Sequence[Any], Any], Any] | None = None
    tolerance: Mapping[str, float] = field(default_factory=dict)

    def sizes(self, tier: str) -> Iterator[dict[str, Value]]:
        """Every combination of axis values that runs at ``tier``."""
        names = list(self.axes)
        for values in itertools.product(*(axis.up_to(tier) for axis in self.axes.values())):
            yield dict(zip(names, values, strict=True))


class Details(TypedDict, total=False):
    """What may be said of a workload beside its name, functions and inputs; see :class:`Workload`."""

    about: str
    axes: Mapping[str, Axis | Sequence[Value]]  # default: none, one size
    modes: Axis | Sequence[Value]  # default: eager and compile
    precisions: Axis | Sequence[Value]  # default: fp32
    devices: Sequence[str]  # default: cpu and cuda
    cost: Callable[..., Cost] | None
    deterministic: bool
    observe: Callable[[Sequence[Any], Any], Any] | None
    tolerance: Mapping[str, float]


class Suite:
    """A named collection of workloads; a module of workloads has one, called ``suite``.

    Example (a whole file for ``pytest bench/ --suite my_suite.py``)::

        import torch
        from suites import Axis, Cost, Suite

        suite = Suite("mine", "What our model spends its time on")

        def vectors(device, n):
            return torch.randn(n, device=device), torch.randn(n, device=device)

        @suite.workload(inputs=vectors, axes={"n": Axis(quick=[4096])}, cost=lambda n: Cost(flops=2 * n))
        def scaled_sum(x, y):
            "x + 2y"
            return x + 2 * y
    """

    def __init__(self, name: str, about: str = "") -> None:
        if not isinstance(name, str) or not name.strip():
            raise SuiteError("Suite: the first argument is its name, e.g. Suite('mine')")
        self.name = name
        self.about = about
        self.workloads: dict[str, Workload] = {}

    def workload(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        inputs: Callable[..., Sequence[Any]],
        **details: Unpack[Details],
    ) -> Callable[..., Any]:
        """Register the decorated function as a workload of one implementation; see :class:`Workload`.

        ``about`` is the first line of its docstring unless given.

        Raises:
            SuiteError: a name used twice, an unknown mode, precision or device.
        """

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            name = getattr(fn, "__name__", "")
            details.setdefault("about", (inspect.getdoc(fn) or "").split("\n")[0])
            self.compare(name, {name: fn}, inputs=inputs, **details)
            return fn

        return register if function is None else register(function)

    def compare(
        self,
        name: str,
        implementations: Mapping[str, Callable[..., Any]],
        *,
        inputs: Callable[..., Sequence[Any]],
        **details: Unpack[Details],
    ) -> Workload:
        """Register several implementations of one result; the first is what the others are held against.

        Raises:
            SuiteError: a name used twice, an unknown mode, precision or device.
        """
        where = f"suite {self.name!r}, workload {name!r}"
        if not isinstance(name, str) or not name.strip():
            raise SuiteError(f"suite {self.name!r}: a workload needs a name (a lambda has none)")
        if name in self.workloads:
            raise SuiteError(f"{where}: the name is used twice; rename one of them")
        if not implementations or not all(callable(fn) for fn in implementations.values()):
            raise SuiteError(f"{where}: implementations must be a non-empty mapping of name → function")
        workload = Workload(
            suite=self.name,
            name=name,
            about=details.get("about", ""),
            inputs=inputs,
            implementations=dict(implementations),
            axes={axis: as_axis(values) for axis, values in details.get("axes", {}).items()},
            modes=as_axis(details.get("modes", ("eager", "compile"))),
            precisions=as_axis(details.get("precisions", ("fp32",))),
            devices=tuple(details.get("devices", DEVICES)),
            cost=details.get("cost"),
            deterministic=details.get("deterministic", True),
            observe=details.get("observe"),
            tolerance=dict(details.get("tolerance", {})),
        )
        for what, chosen, known in (
            ("modes", workload.modes.up_to("full"), MODES),
            ("precisions", workload.precisions.up_to("full"), PRECISIONS),
            ("devices", workload.devices, DEVICES),
            ("tolerance", tuple(workload.tolerance), PRECISIONS),
        ):
            unknown = [str(value) for value in chosen if value not in known]
            if unknown:
                raise SuiteError(f"{where}: {what} has {', '.join(unknown)}; known are {', '.join(known)}")
        self.workloads[name] = workload
        return workload
