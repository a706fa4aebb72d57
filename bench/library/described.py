"""What a program compares, as a suite: its functions, what they read, and their inputs."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch

from torchduet.bench.inputs.captured import Captured
from torchduet.bench.inputs.graph import is_iterator, tensors_in, walk
from torchduet.bench.inputs.reference import duplicate
from torchduet.bench.library.functions import Function
from torchduet.suites.authoring.signatures import check_axes, parameters_of
from torchduet.suites.devices import HOST, kind_of
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Implementation, SuiteError, Value, Workload

SUITE = "compare"


@dataclass(frozen=True)
class Described:
    """Functions to compare, the reference first.

    Attributes:
        name: of the workload.
        functions: name → function.
        inputs: their arguments; or None, and ``make`` makes them.
        make: ``make(**size)``, with a parameter ``device`` where it wants it, returns the arguments.
        axes: name → sizes.
        modes, precisions: of each function that is not compiled already.
        devices: on which they run; the inputs are moved there.
        details: of :meth:`torchduet.suites.suite.Suite.compare`.
    """

    name: str
    functions: Mapping[str, Function]
    inputs: tuple[Any, ...] | None
    make: Callable[..., Any] | None
    axes: Mapping[str, Sequence[Any]]
    modes: tuple[str, ...]
    precisions: tuple[str, ...]
    devices: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def captured(self) -> Captured:
        """What the functions read beside their arguments, in this process."""
        return Captured([function.original for function in self.functions.values()])

    def suite(self) -> Suite:
        """A suite of one workload.

        Raises:
            SuiteError: a setting or a detail that cannot be used; the message names the keyword.
        """
        self._check_inputs()
        suite = Suite(SUITE)
        implementations = {
            name: Implementation(
                function.original,
                modes=(function.mode,) if function.mode else self.modes,
                bind=partial(self.captured.bind, function.original),
            )
            for name, function in self.functions.items()
        }
        modes = dict.fromkeys(("eager", *self.modes, *(f.mode for f in self.functions.values() if f.mode)))
        details = {
            "axes": {axis: [*map(label_of, values)] for axis, values in self.axes.items()},
            "modes": [*modes],
            "precisions": self.precisions,
            **self.details,
        }
        try:
            workload = suite.compare(self.name, implementations, inputs=self._inputs, **details)
        except SuiteError as error:
            raise SuiteError(_in_words_of_compare(str(error))) from None
        suite.workloads[self.name] = self._with_captured(workload)
        return suite

    def _with_captured(self, workload: Workload) -> Workload:
        return replace(workload, captured=self.captured.names)

    def _inputs(self, device: torch.device, **size: Value) -> tuple[Any, ...]:
        """The arguments and the captured values on a device: copies, with the same aliasing and strides."""
        if self.make is None:
            assert self.inputs is not None
            return moved((*self.inputs, *self.captured.values), device)
        size = {axis: self._value(axis, value) for axis, value in size.items()}
        takes = {parameter.name for parameter in parameters_of(self.make) or ()}
        made = self.make(**({"device": device} if "device" in takes else {}), **size)
        if isinstance(made, dict):
            raise SuiteError("inputs= returned a dict; return a tuple of the arguments, for one of them: (x,)")
        arguments = tuple(made) if isinstance(made, tuple | list) else (made,)
        if "device" not in takes:
            arguments = moved(arguments, device)
        return (*arguments, *moved(self.captured.values, device))

    def _value(self, axis: str, label: Value) -> Any:
        """The value of an axis, as it was given."""
        return next((value for value in self.axes[axis] if label_of(value) == label), label)

    def _check_inputs(self) -> None:
        if self.make is not None:
            parameters = [parameter for parameter in parameters_of(self.make) or () if parameter.name != "device"]
            try:
                check_axes(SUITE, parameters, self.axes, "inputs=")
            except SuiteError as error:
                raise SuiteError(_in_words_of_compare(str(error))) from None
        elif self.axes:
            raise SuiteError(
                f"axes={sorted(self.axes)} need a function of them in inputs=, such as "
                "inputs=lambda n: (torch.randn(n),)"
            )
        for number, value in enumerate(self.inputs or ()):
            for item in walk(value):
                if inspect.isgenerator(item) or is_iterator(item):
                    what = "is" if item is value else "holds"
                    raise SuiteError(
                        f"input {number + 1} {what} a {type(item).__name__}, which the first call uses up: give a "
                        "list, or inputs= with a function that makes it"
                    )


def label_of(value: Any) -> Value:
    """An axis' value as tables show it: a shape as ``64x4096``, a type as ``float32``, anything else as it is."""
    if isinstance(value, tuple | list | torch.Size) and value:
        return "x".join(str(label_of(item)) for item in value)
    if isinstance(value, torch.dtype | torch.layout):
        return str(value).removeprefix("torch.")
    if isinstance(value, str | int | float) or hasattr(value, "__index__") or hasattr(value, "__float__"):
        return value  # type: ignore[no-any-return]
    raise SuiteError(f"axes= has {value!r}; use numbers, strings, shapes or types")


def moved(values: Sequence[Any], device: torch.device) -> tuple[Any, ...]:
    """A copy of the values with their tensors on a device; what shares memory in the originals shares it there."""
    if all(_is_on(tensor, device) for tensor in tensors_in(list(values))):
        return duplicate(values)
    import cloudpickle

    file = io.BytesIO()
    torch.save(tuple(values), file, pickle_module=cloudpickle)
    file.seek(0)
    copied: tuple[Any, ...] = torch.load(file, map_location=device, weights_only=False)
    return copied


def _is_on(tensor: torch.Tensor, device: torch.device) -> bool:
    return tensor.device.type == device.type and (device.index is None or tensor.device.index == device.index)


def device_of(described: Described) -> str:
    """The device of the first tensor among the inputs and what the functions read; the host without one."""
    values = [*(described.inputs or ()), *described.captured.values]
    devices = [tensor.device for tensor in tensors_in(values)]
    other = next((device for device in devices if kind_of(str(device)) not in (HOST, "meta")), None)
    return str(other) if other is not None else HOST


def _in_words_of_compare(message: str) -> str:
    """A message of a suite, for somebody who has called a function."""
    text = message
    for plural in ("modes", "precisions", "devices"):
        text = text.replace(f": {plural} has", f": {plural.removesuffix('s')}= has")
    return text.partition(": ")[2] or text
