"""Element by element: one operation, a chain that a compiler can fuse, a broadcast."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.tensor_ops.common import (
    EAGER_FIRST,
    GIB,
    LARGE,
    ON_GPU,
    SQUARES,
    matrix,
    moved,
    part,
    two_matrices,
)
from torchduet.suites.workload import Axis

suite = part()


@suite.workload(
    inputs=lambda device, n: (torch.randn(n, device=device), torch.randn(n, device=device)),
    axes={
        "n": Axis(
            quick=[1000, 1_000_000],
            default=[100, 30_000, 10_000_000],
            # 256 MiB; a launch and nothing else; 16 MiB, which a cache holds
            on={"cuda": Axis(quick=[2**26], default=[1000, 2**22], full=[2**28])},
        )
    },
    modes=EAGER_FIRST,
    precisions=Axis(quick=["fp32"], full=["bf16-pure"]),  # half the bytes
    cost=lambda n: moved(3 * n, n),
)
def add(x: Tensor, y: Tensor) -> Tensor:
    """x + y on n values"""
    return x + y


@suite.workload(inputs=two_matrices, axes={"n": SQUARES}, modes=EAGER_FIRST, cost=lambda n: moved(3 * n * n, n * n))
def multiply(x: Tensor, y: Tensor) -> Tensor:
    """x * y, element by element, (n, n)"""
    return x * y


@suite.workload(
    inputs=two_matrices,
    axes={"n": LARGE},
    modes=EAGER_FIRST,
    cost=lambda n: moved(3 * n * n, n * n),
)
def subtract(x: Tensor, y: Tensor) -> Tensor:
    """x - y, (n, n)"""
    return x - y


@suite.workload(
    inputs=matrix,
    axes={"n": LARGE},
    modes=EAGER_FIRST,
    cost=lambda n: moved(2 * n * n, n * n),
)
def relu(x: Tensor) -> Tensor:
    """max(x, 0), (n, n)"""
    return torch.relu(x)


@suite.workload(
    inputs=two_matrices,
    axes={
        "n": Axis(
            quick=[100, 1000],
            default=[4000],
            full=[10_000],
            on={"cuda": Axis(quick=[ON_GPU], default=[100], full=[1000, GIB])},
        )
    },
    modes=Axis(quick=["eager", "compile"], default=["reduce-overhead", "graph"]),
    cost=lambda n: moved(3 * n * n, 5 * n * n),
)
def chain(x: Tensor, y: Tensor) -> Tensor:
    """relu(x·y + x) · 0.5 − y: five element-wise operations that a compiler can fuse"""
    return torch.relu(x * y + x) * 0.5 - y


@suite.workload(
    inputs=lambda device, n: (torch.randn(n, 1, device=device), torch.randn(1, n, device=device)),
    axes={"n": LARGE},
    modes=EAGER_FIRST,
    cost=lambda n: moved(n * n + 2 * n, n * n),
)
def broadcast(column: Tensor, row: Tensor) -> Tensor:
    """(n, 1) + (1, n)"""
    return column + row
