"""What the parts of the suite share: variants, inputs, costs, and how a workload is added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from torchduet.suites.suite import Details, Suite
from torchduet.suites.workload import Axis, Cost

FLOAT = 4  # bytes of a float32
EAGER_FIRST = Axis(quick=["eager"], full=["compile"])
COMPILE_SOON = Axis(quick=["eager"], default=["compile"])
BOTH = ("eager", "compile")
EAGER = ("eager",)
FP32_FIRST = Axis(
    quick=["fp32"], default=["tf32"], full=["bf16"], on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32"])}
)


def part() -> Suite:
    """A part of the suite ``einsum``: its workloads belong to that suite."""
    return Suite("einsum", "Each einsum equation against the operation it stands for")


def normal(*shapes: Sequence[str | int]) -> Callable[..., tuple[Tensor, ...]]:
    """Inputs of random normal tensors; a string in a shape is the name of an axis."""

    def inputs(device: torch.device, **size: Any) -> tuple[Tensor, ...]:
        return tuple(
            torch.randn([size[side] if isinstance(side, str) else side for side in shape], device=device)
            for shape in shapes
        )

    return inputs


def against_einsum(
    suite: Suite,
    name: str,
    equation: str,
    dedicated: Mapping[str, Callable[..., Any]],
    inputs: Callable[..., Sequence[Any]],
    sizes: Mapping[str, Axis],
    **details: Unpack[Details],
) -> None:
    """Add a workload: the dedicated operation first, then einsum with ``equation``."""

    def einsum(*operands: Tensor) -> Tensor:
        return torch.einsum(equation, *operands)

    details.setdefault("modes", EAGER_FIRST)
    details["about"], details["axes"] = equation, sizes
    suite.compare(name, {**dedicated, "einsum": einsum}, inputs=inputs, **details)


def moved(elements: float, operations: float) -> Cost:
    """Cost of moving ``elements`` float32 values with this number of operations."""
    return Cost(flops=operations or None, bytes=float(FLOAT * elements))
