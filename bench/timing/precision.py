"""Numerical precision: a global state that is entered around a block and left again, autocast, and loss scaling.

``fp32`` is strictly fp32; ``tf32`` allows TensorFloat-32 in CUDA's matrix products and convolutions. Autocast is part
of the timed call, see :func:`autocast_factory`; with fp16 so is the scaling of the loss. The pure precisions convert
the inputs before the first call, see :mod:`torchduet.bench.timing.conversions`, and then neither autocast nor scale.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch

from torchduet.bench.record.knobs import PURE_SUFFIX
from torchduet.bench.state.fp32_precision import Fp32Precision, set_fp32
from torchduet.bench.timing.device_registry import device_of

SCALING_CALLS = 10  # each halves the factor
AUTOCAST_DTYPE = {"bf16": torch.bfloat16, "fp16": torch.float16}
PURE_DTYPE = {f"{name}{PURE_SUFFIX}": dtype for name, dtype in AUTOCAST_DTYPE.items()}
# The tolerance of bf16, 8 * 2**-8, has room for some 60 independent roundings in a row, whose squares add up. A pure
# precision also rounds what autocast computes in float32 (losses, normalisations, softmax, sums, residual additions,
# updates), about every second operation of a network: it has room for twice as many.
PURE_FACTOR = math.sqrt(2)

TOLERANCE = {
    # Relative Frobenius error against float64. Inputs rounded to p mantissa bits give an error near
    # 2**-(p+1) for a well-conditioned product: 2**-24 (fp32, growing with the square root of the
    # length), 2**-11 (TF32, fp16), 2**-8 (bf16). fp32's bound is far below TF32's error, so that a
    # product that silently used TF32 fails as fp32.
    "fp32": 2e-5,
    "tf32": 5e-3,
    "bf16": 3e-2,
    "fp16": 5e-3,
}
TOLERANCE |= {f"{name}{PURE_SUFFIX}": PURE_FACTOR * TOLERANCE[name] for name in AUTOCAST_DTYPE}


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Set the precision of fp32 in matrix products and convolutions, and leave everything as it was found.

    See :mod:`torchduet.bench.state.fp32_precision`: torch up to 2.11 also refuses to compile where the interfaces
    contradict each other (pytorch/pytorch#166387).
    """
    before = Fp32Precision.now()
    try:
        set_fp32(tf32=precision == "tf32")
        yield
    finally:
        before.put_back()


def autocast_factory(precision: str, device: str) -> Callable[[], AbstractContextManager[object]]:
    """A factory of the context manager around the forward pass, as in a user's code."""
    dtype = AUTOCAST_DTYPE.get(precision)
    if dtype is None:
        return contextlib.nullcontext
    return functools.partial(torch.autocast, device_of(device).autocast_type, dtype=dtype)


def scaler_for(precision: str, device: str) -> torch.amp.GradScaler | None:
    """A loss scaler for fp16, in which small gradients would otherwise be zero; None for other precisions."""
    return torch.amp.GradScaler(device_of(device).autocast_type) if precision == "fp16" else None


def first_result(
    call: Callable[[], Any],
    scaler: torch.amp.GradScaler | None,
    restore: Callable[[], None],
    agreed: Callable[[bool], bool] = bool,
) -> Any:
    """The first result of a case. A loss scaler skips steps while its factor is too large, and tries smaller ones.

    Args:
        restore: gives the inputs their original values.
        agreed: whether a condition holds in any of the processes that make the same calls.
    """
    for _ in range(SCALING_CALLS if scaler else 1):
        before = scaler.get_scale() if scaler else 0.0
        value = call()
        if scaler is None or not agreed(scaler.get_scale() < before):
            break
        restore()
    return value
