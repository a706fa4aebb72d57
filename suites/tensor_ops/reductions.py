"""Sums, means and maxima, and a layer norm made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.tensor_ops.common import EAGER_FIRST, LARGE, SQUARES, SQUARES_SOON, matrix, moved, part

suite = part()


@suite.workload(inputs=matrix, axes={"n": SQUARES}, modes=EAGER_FIRST, cost=lambda n: moved(n * n, n * n))
def sum_rows(x: Tensor) -> Tensor:
    """Sum of each row, (n, n)"""
    return x.sum(dim=1)


@suite.workload(
    inputs=lambda device, n: (torch.rand(n, n, device=device),),  # not centred on zero: the sum must not cancel
    axes={"n": LARGE},
    modes=EAGER_FIRST,
    cost=lambda n: moved(n * n, n * n),
)
def mean(x: Tensor) -> Tensor:
    """Mean of all values, (n, n)"""
    return x.mean()


@suite.workload(
    inputs=matrix,
    axes={"n": LARGE},
    modes=EAGER_FIRST,
    cost=lambda n: moved(n * n, n * n),
)
def amax(x: Tensor) -> Tensor:
    """Largest value of each row, (n, n)"""
    return x.amax(dim=1)


@suite.workload(inputs=matrix, axes={"n": SQUARES_SOON}, modes=("eager", "compile"), cost=lambda n: moved(2 * n * n))
def layer_norm(x: Tensor) -> Tensor:
    """(x − mean) / sqrt(variance + ε) of each row, written out"""
    centred = x - x.mean(dim=1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(dim=1, keepdim=True) + 1e-5)
