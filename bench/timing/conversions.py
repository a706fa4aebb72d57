"""What a case's settings change of its inputs before anything is called: a function for each knob that does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.timing.placements import tensors_in
from torchduet.suites.workload import SuiteError

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def lay_out(inputs: Sequence[Any], memory_format: str) -> None:
    """Give every 4-D floating-point tensor of the inputs, weights included, this order of its dimensions in memory.

    Raises:
        SuiteError: there is no such tensor among them.
    """
    found = [tensor for tensor in tensors_in(inputs) if tensor.dim() == 4 and tensor.is_floating_point()]
    if not found:
        raise SuiteError("none of its inputs has four dimensions: leave memory_format out of its knobs=")
    for tensor in found:
        tensor.data = tensor.data.to(memory_format=MEMORY_FORMATS[memory_format])


CONVERSIONS: Mapping[str, Callable[[Sequence[Any], str], None]] = {"memory_format": lay_out}


def convert(inputs: Sequence[Any], case: Case) -> None:
    """Change the inputs to what the case's settings ask for, where they are."""
    for knob, setting in case.turned:
        CONVERSIONS[knob](inputs, setting)


def converted(inputs: Sequence[Any], case: Case) -> tuple[Any, ...]:
    """A copy of the inputs as the case's settings ask for; the inputs themselves where these change nothing."""
    if not case.turned:
        return tuple(inputs)
    copied = copy.deepcopy(tuple(inputs))
    convert(copied, case)
    return copied
