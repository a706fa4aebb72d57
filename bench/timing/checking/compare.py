"""How far a value is from the reference's, on the scale of the reference or of the rounding that it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from torchduet.bench.timing.checking.exactness import computes_in, lowest, unit_roundoff
from torchduet.bench.timing.checking.reference import Reference
from torchduet.bench.timing.checking.results import Part

# 180 eager training steps on a CPU (nine models, five optimisers, fp32 and bf16, two seeds) had 741 values with errors
# above the tolerance, of at most 1.41 times the spread of the perturbed references; some ten compiled steps, 1.64.
ROUNDING_FACTOR = 5.0
MIN_RUNS, MAX_RUNS = 4, 16
# For positions: what 16 runs with four times the noise do not change is decided by more than rounding.
POSITIONS_FACTOR = 4.0
# Kernels add up in blocks and approximate roots: some of their results are several roundings off. A step of AdamW after
# twenty layers with batch norm needs this; below it 4 runs suffice.
COARSER = 4.0
CLEARLY = 30.0  # beyond the spread of a few runs by so much, more runs decide nothing else
WHOLE = (torch.int64, torch.int32, torch.bool)  # positions, counts and conditions; narrower types hold rounded values


@dataclass(frozen=True)
class Held:
    """How one value compares with the reference's.

    Attributes:
        path: its name.
        error: on the scale of the reference, or that of the rounding that the reference shows.
        rounding: it is on the latter.
        undecided: number of positions that were left out, as rounding decides them.
    """

    path: str
    error: float
    rounding: bool = False
    undecided: int = 0


def relative_error(result: Tensor, reference: Tensor) -> float:
    """Relative Frobenius error ‖result − reference‖ / ‖reference‖, both taken to float64 on the CPU.

    The absolute error where the reference is zero; NaN where the result has a NaN. Infinities at the same positions
    count as equal. Each is moved before it is converted, as not every device has float64.
    """
    error, scale = _error_and_scale(result, reference)
    return error / scale if scale else error


def _error_and_scale(result: Tensor, reference: Tensor) -> tuple[float, float]:
    """‖result − reference‖ and ‖reference‖ of what is finite in the reference."""
    actual, expected = _wide(result, reference.is_complex()), _wide(reference, result.is_complex())
    infinite = ~torch.isfinite(expected)
    if bool(infinite.any()):
        if not torch.equal(actual[infinite], expected[infinite]):
            return math.inf, 1.0
        actual, expected = actual.masked_fill(infinite, 0), expected.masked_fill(infinite, 0)
    return float(torch.linalg.vector_norm(actual - expected)), float(torch.linalg.vector_norm(expected))


def _wide(tensor: Tensor, is_complex: bool) -> Tensor:
    return tensor.to("cpu").to(torch.complex128 if is_complex or tensor.is_complex() else torch.float64)


def shape(part: Part) -> tuple[int, ...]:
    return () if isinstance(part.value, str) else tuple(part.value.shape)


def shape_varies(expected: Part, reference: Reference) -> bool:
    """Whether rounding decides the shape, as of what ``nonzero`` or ``unique`` returns."""
    unit = unit_roundoff("fp32", computes_in("fp32", lowest(reference.dtypes)))
    runs = _runs(reference, POSITIONS_FACTOR * unit, MAX_RUNS, expected)
    return any(shape(part) != shape(expected) for part in runs)


def _runs(
    reference: Reference, unit: float, most: int, expected: Part, rounded: torch.dtype | None = None
) -> list[Part]:
    """The values at a name in the perturbed references; none where these cannot be computed."""
    try:
        runs = reference.perturbed(unit, MIN_RUNS, most, rounded)
    except Exception as error:  # noqa: BLE001 - without them, the comparison stays as it is
        print(f"the reference cannot be computed with perturbed operations: {type(error).__name__}: {error}")
        return []
    return [run[expected.path] for run in runs if expected.path in run]


def compare(
    actual: Part,
    expected: Part,
    reference: Reference,
    tolerance: float,
    unit: float,
    rounded: torch.dtype | None = None,
) -> Held:
    """How one value compares: its error, on the scale of the rounding that the reference shows where that is larger.

    Args:
        unit: unit roundoff of the operations.
        rounded: the type to which the inputs of ``actual`` were rounded, those of the reference were not.
    """
    if isinstance(actual.value, str) or isinstance(expected.value, str):
        return Held(actual.path, 0.0 if actual.value == expected.value else math.inf)
    if actual.value.shape != expected.value.shape:  # rounding decides the shape
        return Held(actual.path, 0.0, undecided=max(actual.value.numel(), expected.value.numel()))
    whole = expected.value.dtype in WHOLE and actual.value.dtype in WHOLE
    error, scale = _error_and_scale(actual.value, expected.value)
    if error == 0 or (not whole and error <= tolerance * scale):
        return Held(actual.path, error / scale if scale else error)
    if not math.isfinite(error):
        return Held(actual.path, error)
    if not expected.value.is_floating_point() and not expected.value.is_complex():
        return _positions(actual, expected, reference, unit, rounded, exact=whole)
    for most, coarser in ((MIN_RUNS, 1.0), (MAX_RUNS, 1.0), (MAX_RUNS, COARSER)):
        runs = [part.value for part in _runs(reference, coarser * unit, most, expected, rounded)]
        errors = [
            _error_and_scale(value, expected.value)[0]
            for value in runs
            if isinstance(value, Tensor) and value.shape == expected.value.shape
        ]
        finite = [spread for spread in errors if math.isfinite(spread)]
        spread = math.sqrt(sum(one**2 for one in finite) / len(finite)) if finite else 0.0
        by_rounding = ROUNDING_FACTOR * spread / tolerance
        if error <= tolerance * by_rounding or error > CLEARLY * tolerance * by_rounding:
            break
    larger = max(scale, by_rounding)
    return Held(actual.path, error / larger if larger else error, rounding=by_rounding > scale)


def _positions(
    actual: Part, expected: Part, reference: Reference, unit: float, rounded: torch.dtype | None, *, exact: bool
) -> Held:
    """How whole numbers and conditions compare where rounding does not decide them.

    Args:
        exact: any difference is wrong; otherwise the relative error counts.
    """
    assert isinstance(actual.value, Tensor)
    assert isinstance(expected.value, Tensor)
    value, target = actual.value.to("cpu"), expected.value.to("cpu")
    undecided = torch.zeros(target.shape, dtype=torch.bool)
    for part in _runs(reference, POSITIONS_FACTOR * unit, MAX_RUNS, expected, rounded):
        assert isinstance(part.value, Tensor)
        undecided |= (part.value.to("cpu") != target) if part.value.shape == target.shape else True
    left_out = undecided & (value != target)
    decided = value.masked_fill(undecided, 0), target.masked_fill(undecided, 0)
    error = relative_error(*decided)
    wrong = bool((decided[0] != decided[1]).any())
    if exact and wrong:
        error = max(error, 1.0)
    return Held(actual.path, error, undecided=int(left_out.sum()))
