"""A summary of a result, small enough to be sent, by which another process sees whether it computes the same."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from torchduet.bench.timing.checking.results import Results

MAX_DIFFERENCE = 0.05  # of norms, relative: what other threads and fresh memory change is far less
Summary = Mapping[str, tuple[str, float]]  # path → shape and type, and the norm


def summary_of(results: Results) -> Summary:
    """Shape, type and norm of every value."""
    return {path: _of(part.value) for path, part in results.items()}


def _of(value: object) -> tuple[str, float]:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__, math.nan
    with torch.no_grad():
        dense = value.detach()
        try:
            norm = float(torch.linalg.vector_norm(dense.to(torch.complex128 if dense.is_complex() else torch.float64)))
        except (RuntimeError, TypeError):  # a kind of tensor without such operators
            norm = math.nan
    return f"{tuple(value.shape)} {value.dtype}", norm


def differing(own: Summary, expected: Summary) -> str:
    """What differs, in words; empty where nothing does."""
    if own.keys() != expected.keys():
        return f"it returned {len(own)} values instead of {len(expected)}"
    for path, (kind, norm) in own.items():
        other, wanted = expected[path]
        if kind != other:
            return f"{path or 'it'} is {kind} instead of {other}"
        if math.isfinite(norm) and math.isfinite(wanted) and abs(norm - wanted) > MAX_DIFFERENCE * max(norm, wanted):
            return f"the norm of {path or 'its result'} is {norm:.3g} instead of {wanted:.3g}"
    return ""
