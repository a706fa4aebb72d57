"""Converts a case's inputs to its settings before the first call: one function per knob that changes inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.reference import duplicate
from torchduet.suites.workload import SuiteError

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


def convert(inputs: Sequence[Any], case: Case) -> None:
    """Convert the inputs in place to the case's settings."""
    for knob, setting in case.other_settings:
        CONVERSIONS[knob](inputs, setting)


def converted(inputs: Sequence[Any], case: Case) -> tuple[Any, ...]:
    """A copy of the inputs, converted to the case's settings; the inputs themselves where these change nothing."""
    if not case.other_settings:
        return tuple(inputs)
    copied = duplicate(inputs)
    convert(copied, case)
    return copied
