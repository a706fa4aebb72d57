"""The check: compares a case's result with the reference, before the case is timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from torchduet.bench.host.gpus import variables
from torchduet.bench.record.schema import CheckRecord
from torchduet.bench.timing.checking.compare import Held, compare
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.exactness import allowed, computes_in, label, lowest, unit_roundoff
from torchduet.bench.timing.checking.pairing import pair, same_form, where
from torchduet.bench.timing.checking.reference import Reference, has_nan
from torchduet.bench.timing.checking.results import ROOT, Part, Results
from torchduet.bench.timing.precision import PURE_DTYPE
from torchduet.suites.workload import Workload

# What makes steps in pure fp16 fail: numbers below 2**-24 are zero, and no loss is scaled.
SMALL_NUMBERS = {"fp16-pure": " (Adam's eps of 1e-8 is zero in fp16: give a larger one, or train in bf16-pure)"}
WORST_ADVISED = 0.5  # a larger error is no matter of tolerance


def check(
    workload: Workload,
    precision: str,
    results: Results,
    reference: Reference,
    implementation: str = "",
    recorded: Callable[[], set[torch.dtype]] = set,
) -> CheckRecord:
    """Compare a case's values with the reference's.

    Args:
        recorded: computes the implementation's result once more, and returns the floating-point types within; it is
            called where the result is too far from the reference.

    Raises:
        CheckError: NaN or infinity, another shape or number of values, or an error above the
            tolerance of the precision; the message names the value.
    """
    if not workload.check:
        return CheckRecord(what="nothing", relative_error=None, tolerance=None)
    for part in results.values():
        if isinstance(part.value, Tensor) and has_nan(part.value):
            raise CheckError(
                f"it returned NaN{where(part)} where float64 does not; look for overflow in this precision"
                + SMALL_NUMBERS.get(precision, "")
            )
    if reference.held_against == "nothing":
        _refuse_infinity(results, {}, precision)
        return _record(CheckRecord(what="shapes", relative_error=None, tolerance=None), precision, None, reference)
    pairs = pair(results, reference.results)
    random = None if workload.deterministic else reference.with_another_seed
    for actual, expected in pairs:
        same_form(actual, expected, reference, random)
    dtype = lowest(reference.dtypes)
    _refuse_infinity(results, {actual.path: expected for actual, expected in pairs}, precision)
    if not workload.deterministic:
        return _record(CheckRecord(what="shapes", relative_error=None, tolerance=None), precision, dtype, reference)
    try:
        return _values(workload, precision, pairs, reference, implementation, dtype)
    except CheckError:
        if reference.own is not None and (
            record := _as_seeded(workload, precision, results, reference, implementation)
        ):
            return record
        casts = lowest(recorded() | reference.dtypes)
        if computes_in(precision, casts) == computes_in(precision, dtype):
            raise
        return _values(workload, precision, pairs, reference, implementation, casts)


def _as_seeded(
    workload: Workload, precision: str, results: Results, reference: Reference, implementation: str
) -> CheckRecord | None:
    """The record of results that agree with those of the first implementation in its own types, seeded alike."""
    assert reference.own is not None
    try:
        own = reference.own()
        pairs = pair(results, own.results)
        return _values(workload, precision, pairs, own, implementation, lowest(own.dtypes))
    except CheckError:
        return None  # not seeded: what float64 says counts


def _values(
    workload: Workload,
    precision: str,
    pairs: Sequence[tuple[Part, Part]],
    reference: Reference,
    implementation: str,
    found: torch.dtype | None,
) -> CheckRecord:
    """The record of values that agree; ``found`` is the least exact type in the computation."""
    dtype = computes_in(precision, found)
    tolerance = allowed(workload, implementation, precision, dtype)
    unit = unit_roundoff(precision, dtype)
    rounded = PURE_DTYPE.get(precision)
    held = [compare(actual, expected, reference, tolerance, unit, rounded) for actual, expected in pairs]
    worst = max(held, key=lambda one: one.error if one.error == one.error else math.inf)
    if not worst.error <= tolerance:
        key = implementation if len(workload.implementations) > 1 else precision
        raise CheckError(_wrong(worst, tolerance, precision, key, reference, len(pairs)))
    record = CheckRecord(what="values", relative_error=worst.error, tolerance=tolerance)
    if any(one.rounding for one in held):
        record["scale"] = "rounding"
    if undecided := sum(one.undecided for one in held):
        record["undecided"] = undecided
    return _record(record, precision, found, reference)


def _record(record: CheckRecord, precision: str, found: torch.dtype | None, reference: Reference) -> CheckRecord:
    """The record with what it is held against, and what it computes in, where these are not the usual."""
    if reference.held_against != "float64":
        record["held_against"] = reference.held_against
        if reference.why:
            record["why"] = reference.why
    elif reference.device:
        record["float64_on"] = reference.device
    if name := label(precision, computes_in(precision, found)):
        record["computes_in"] = name
    return record


def _refuse_infinity(results: Results, reference: Results, precision: str) -> None:
    """Refuse infinity, unless the reference has it, too."""
    for part in results.values():
        expected = reference.get(part.path)
        known = expected is not None and not _finite(expected)
        if not _finite(part) and not known:
            raise CheckError(
                f"it returned infinity{where(part)} where float64 does not; look for overflow in this precision, or "
                f"for a division by what is zero in it{SMALL_NUMBERS.get(precision, '')}"
            )


def _finite(part: Part) -> bool:
    return isinstance(part.value, str) or bool(torch.isfinite(part.value).all())


def _wrong(worst: Held, tolerance: float, precision: str, key: str, reference: Reference, count: int) -> str:
    """Which value is wrong, what it was compared with, and the ways out."""
    place = "" if worst.path == ROOT and count == 1 else f" in {worst.path}"
    against = "float64" if reference.held_against == "float64" else "the first implementation in its own dtype"
    if worst.error == math.inf:
        what = f"it differs from {against} where that is no finite number"
    else:
        what = f"relative error {worst.error:.2e} against {against}, {tolerance:.0e} is allowed in {precision}"
    if _is_random(reference):
        return (
            f"its result is wrong{place}: {what}; its results are random (dropout in training mode?): "
            "deterministic=False, or seed both sides alike"
        )
    if reference.free:
        return (
            f"its result is wrong{place}: {what}; singular vectors and eigenvectors are determined only up to sign or "
            "phase: name what to check with observe=, such as the singular values"
        )
    advice = "random? deterministic=False"
    if worst.error < WORST_ADVISED:
        advice += f". Less exact by design? tolerance={{{key!r}: {_rounded_up(worst.error)}}}"
    if precision == "fp32" and torch.cuda.is_initialized() and (why := variables.tf32_for_fp32()):  # type: ignore[no-untyped-call]
        advice = f"{why}. {advice[0].upper()}{advice[1:]}"
    return f"its result is wrong{place}: {what}; {advice}"


def _rounded_up(error: float) -> str:
    """Twice an error, to one digit."""
    return f"{2 * error:.0e}" if error < 1e-3 else f"{2 * error:.1g}"


def _is_random(reference: Reference) -> bool:
    """Whether the reference's results depend on the seed."""
    try:
        other = reference.with_another_seed()
    except Exception as error:  # noqa: BLE001 - nothing is known then
        print(f"the reference cannot be computed with another seed: {type(error).__name__}: {error}")
        return False
    return other is not None and any(
        isinstance(part.value, Tensor)
        and isinstance(expected := reference.results[path].value, Tensor)
        and not (part.value.shape == expected.shape and torch.equal(part.value, expected))
        for path, part in other.items()
        if path in reference.results
    )
