"""Converts a case's inputs to its settings before the first call: one function per knob that changes inputs.

A pure precision is what ``model.bfloat16()`` and inputs of that type are in a program: parameters, gradients, the
moments of optimisers and every other tensor of real numbers have the type, integers and conditions stay. The values are
those of the family, rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.reference import converts, duplicate
from torchduet.bench.timing.precision import PURE_DTYPE
from torchduet.suites.workload import SuiteError, Unavailable

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def lay_out(inputs: Sequence[Any], memory_format: str) -> None:
    """Convert every 4-D floating-point tensor of the inputs, weights included, to a memory format.

    Raises:
        SuiteError: there is no such tensor.
    """
    tensors = [tensor for tensor in tensors_in(inputs) if tensor.dim() == 4 and tensor.is_floating_point()]
    if not tensors:
        raise SuiteError("none of its inputs has four dimensions: leave memory_format out of its knobs=")
    for tensor in tensors:
        tensor.data = tensor.data.to(memory_format=MEMORY_FORMATS[memory_format])


CONVERSIONS: Mapping[str, Callable[[Sequence[Any], str], None]] = {"memory_format": lay_out}


def in_precision(inputs: Sequence[Any], precision: str) -> tuple[Any, ...]:
    """A copy of the inputs with every real number in the type of a pure precision.

    Raises:
        Unavailable: there is nothing to convert.
    """
    dtype = PURE_DTYPE[precision]
    found = {tensor.dtype for tensor in tensors_in(inputs) if converts(tensor.dtype)}
    if not found - {dtype}:
        name = str(dtype).removeprefix("torch.")
        what = f"its tensors are {name} already" if found else "no tensor among its inputs holds real numbers"
        raise Unavailable(f"{what}: {precision} would change nothing")
    return duplicate(inputs, dtype=dtype)


def conversion_of(case: Case) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What the case's inputs are converted to; cases of which it is the same can share them."""
    return case.precision if case.precision in PURE_DTYPE else "", case.other_settings


def convert(inputs: Sequence[Any], case: Case) -> tuple[Any, ...]:
    """The inputs, which nobody else uses, converted to the case's settings.

    Raises:
        SuiteError, Unavailable: they cannot be converted.
    """
    own = in_precision(inputs, case.precision) if case.precision in PURE_DTYPE else tuple(inputs)
    for knob, setting in case.other_settings:
        CONVERSIONS[knob](own, setting)
    return own


def converted(inputs: Sequence[Any], case: Case) -> tuple[Any, ...]:
    """A copy of the inputs, converted to the case's settings; the inputs themselves where these change nothing."""
    precision, others = conversion_of(case)
    return convert(duplicate(inputs) if others and not precision else inputs, case)
