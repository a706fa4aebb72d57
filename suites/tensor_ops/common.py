"""Shared by the modules of the suite: its name, sizes, inputs and costs."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

FLOAT = 4  # bytes of a float32
EAGER = ("eager",)
EAGER_FIRST = Axis(quick=["eager"], full=["compile"])  # one operation leaves a compiler nothing to fuse
# On a GPU, matrices of 256 MiB: several times as large as any cache, and passed over in many times what a launch takes.
ON_GPU, GIB = 8192, 16_384
SQUARES = Axis(quick=[1000], default=[4000], full=[10_000], on={"cuda": Axis(default=[ON_GPU], full=[1000, GIB])})
SQUARES_SOON = Axis(quick=[1000], default=[4000], full=[10_000], on={"cuda": Axis(quick=[ON_GPU], full=[1000, GIB])})
LARGER_LATER = Axis(quick=[1000], full=[4000, 10_000], on={"cuda": Axis(default=[ON_GPU])})
LARGE = Axis(default=[1000], full=[10_000], on={"cuda": Axis(full=[ON_GPU])})
SMALL = Axis(default=[1000], on={"cuda": Axis(full=[ON_GPU])})
COPIES = Axis(quick=[1000], default=[4000], full=[10_000], on={"cuda": Axis(quick=[4096], full=[1000, 8192])})


def matrix(device: torch.device, n: int) -> tuple[Tensor]:
    return (torch.randn(n, n, device=device),)


def two_matrices(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randn(n, n, device=device)


def moved(elements: float, operations: float = 0) -> Cost:
    """Cost of moving ``elements`` float32 values with this number of operations."""
    return Cost(flops=operations or None, bytes=float(FLOAT * elements))


def part() -> Suite:
    """A suite for the workloads of one theme; the package joins the themes."""
    return Suite("tensor_ops", "Creating, combining, reducing, indexing and copying tensors")
