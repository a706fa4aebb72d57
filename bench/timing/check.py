"""The check: compares a case's result with the same function in float64 on the CPU, before the case is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.memory import has_storage
from torchduet.bench.inputs.reference import to_reference
from torchduet.bench.record.schema import CheckRecord
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.precision import TOLERANCE
from torchduet.suites.workload import Workload


class CheckError(Exception):
    """A result that must not be timed; the message says what is wrong with it."""


def observed(workload: Workload, inputs: Sequence[Any], result: Any) -> list[Tensor]:
    """The tensors of a call that are checked, as detached copies.

    Raises:
        CheckError: the result contains no tensor and no number.
    """
    value = workload.observe(inputs, result) if workload.observe else result
    tensors = [tensor.detach().clone() for tensor in _flatten(value)]
    if not tensors:
        raise CheckError(
            f"it returned {type(result).__name__}, which contains nothing to check; return a tensor, "
            "or name what to check with observe="
        )
    return tensors


def _flatten(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, np.ndarray):
        yield torch.as_tensor(value)
    elif isinstance(value, bool | int | float):
        yield torch.tensor(value, dtype=torch.float64)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _flatten(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _flatten(item)


def reference_result(workload: Workload, inputs: Sequence[Any], call: Callable[..., Any]) -> list[Tensor]:
    """The result of ``call`` in float64 on the CPU, from a copy of ``inputs``.

    Raises:
        CheckError: the float64 result itself is not finite.
    """
    copied = to_reference(inputs)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        tensors = observed(workload, copied, call(*copied))
    finally:
        torch.set_default_dtype(default)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise CheckError("the result is not finite even in float64; choose other inputs")
    return tensors


def poison(reference: Sequence[Tensor], device: str, graph_result: Any, inputs: Sequence[Any]) -> None:
    """Make sure that a result that the next call does not write is not right by chance.

    Memory of the result's size is filled with NaN and released, so that the allocator returns it again. The memory of
    a CUDA graph's result, which stays the same, is filled with NaN, too.

    Args:
        graph_result: of a CUDA graph; tensors that share memory with the inputs are not changed. None without a graph.
    """
    shared = {tensor.untyped_storage().data_ptr() for tensor in tensors_in(inputs) if has_storage(tensor)}
    for tensor in _flatten(graph_result):
        if tensor.is_floating_point() and tensor.untyped_storage().data_ptr() not in shared:
            with torch.inference_mode():  # the result may be of that kind
                tensor.detach().fill_(torch.nan)
    target = device_of(device).torch_device
    filled = [torch.full(tensor.shape, torch.nan, device=target) for tensor in reference if tensor.is_floating_point()]
    del filled


def relative_error(result: Tensor, reference: Tensor) -> float:
    """Relative Frobenius error ‖result − reference‖ / ‖reference‖, both taken to float64 on the CPU.

    The absolute error where the reference is zero; NaN where the result has a NaN. Each is moved before it is
    converted, as not every device has float64.
    """
    actual = result.to("cpu").to(torch.complex128 if result.is_complex() else torch.float64)
    expected = reference.to("cpu").to(actual.dtype)
    scale = float(torch.linalg.vector_norm(expected))
    error = float(torch.linalg.vector_norm(actual - expected))
    return error / scale if scale else error


def has_nan(tensor: Tensor) -> bool:
    """Whether a real or complex tensor contains NaN."""
    return (tensor.is_floating_point() or tensor.is_complex()) and bool(tensor.isnan().any())


def _kind(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex"
    return "real" if tensor.is_floating_point() else "boolean" if tensor.dtype == torch.bool else "whole"


def check(workload: Workload, precision: str, result: Sequence[Tensor], reference: Sequence[Tensor]) -> CheckRecord:
    """Compare a case's tensors with the reference's.

    Raises:
        CheckError: NaN or infinity, another shape or number of tensors, or an error above the
            tolerance of the precision.
    """
    if any(has_nan(tensor) for tensor in result):
        raise CheckError("it returned NaN where float64 does not; look for overflow in this precision")
    shapes = [tuple(tensor.shape) for tensor in result]
    expected_shapes = [tuple(tensor.shape) for tensor in reference]
    if shapes != expected_shapes:
        raise CheckError(f"it returned shapes {shapes}, the float64 reference {expected_shapes}")
    kinds = [_kind(tensor) for tensor in result]
    expected_kinds = [_kind(tensor) for tensor in reference]
    if kinds != expected_kinds:
        raise CheckError(
            f"it returned {', '.join(kinds)} values, the float64 reference {', '.join(expected_kinds)} values"
        )
    if not workload.deterministic:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in result):
            raise CheckError("it returned infinity where float64 does not; look for overflow in this precision")
        return CheckRecord(what="shapes", relative_error=None, tolerance=None)
    tolerance = workload.tolerance.get(precision, TOLERANCE[precision])
    worst = max(relative_error(actual, expected) for actual, expected in zip(result, reference, strict=True))
    if not worst <= tolerance:
        raise CheckError(
            f"its result is wrong: relative error {worst:.2e} against float64, {tolerance:.0e} is allowed "
            f"in {precision}"
        )
    return CheckRecord(what="values", relative_error=worst, tolerance=tolerance)
