"""Tensor operations: creation, element-wise, reductions, indexing, layout, NumPy and device copies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

suite = Suite("tensor_ops", "Creating, combining, reducing, indexing and copying tensors")

FLOAT = 4  # bytes of a float32
EAGER = ("eager",)
EAGER_FIRST = Axis(quick=["eager"], full=["compile"])  # one operation leaves a compiler nothing to fuse
SQUARES = Axis(quick=[1000], default=[4000], full=[10_000])
LARGER_LATER = Axis(quick=[1000], full=[4000, 10_000])
LARGE = Axis(default=[1000], full=[10_000])


def matrix(device: torch.device, n: int) -> tuple[Tensor]:
    return (torch.randn(n, n, device=device),)


def two_matrices(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randn(n, n, device=device)


def device_and_size(device: torch.device, n: int) -> tuple[torch.device, int]:
    return device, n


def moved(elements: float, operations: float = 0) -> Cost:
    """Cost of moving ``elements`` float32 values, with as many operations as given."""
    return Cost(flops=operations or None, bytes=float(FLOAT * elements))


# Creation

suite.compare(
    "constant",
    {
        "zeros": lambda device, n: torch.zeros(n, n, device=device),
        "zero_": lambda device, n: torch.empty(n, n, device=device).zero_(),
        "full": lambda device, n: torch.full((n, n), 0.0, device=device),
    },
    about="An (n, n) tensor of one value",
    inputs=device_and_size,
    axes={"n": LARGE},
    modes=EAGER,
    cost=lambda n: moved(n * n),
)


@suite.workload(inputs=device_and_size, axes={"n": LARGE}, modes=EAGER, cost=lambda n: moved(n * n))
def zeros(device: torch.device, n: int) -> Tensor:
    """(n, n) zeros"""
    return torch.zeros(n, n, device=device)


@suite.workload(inputs=device_and_size, axes={"n": LARGE}, modes=EAGER, cost=lambda n: moved(n * n))
def ones(device: torch.device, n: int) -> Tensor:
    """(n, n) ones"""
    return torch.ones(n, n, device=device)


@suite.workload(inputs=device_and_size, axes={"n": Axis(default=[1000])}, modes=EAGER, cost=lambda n: moved(n * n))
def arange(device: torch.device, n: int) -> Tensor:
    """0, 1, … n² − 1"""
    return torch.arange(n * n, device=device, dtype=torch.float32)


suite.compare(
    "random",
    {
        "rand": lambda device, n: torch.rand(n, n, device=device),
        "randn": lambda device, n: torch.randn(n, n, device=device),
    },
    about="(n, n) random numbers, uniform and normal",
    inputs=device_and_size,
    axes={"n": LARGE},
    modes=EAGER,
    deterministic=False,
    cost=lambda n: moved(n * n),
)

suite.compare(
    "create_on_device",
    {
        "create_and_move": lambda device, n: torch.ones(n, n).to(device),
        "create_there": lambda device, n: torch.ones(n, n, device=device),
    },
    about="An (n, n) tensor made on the CPU and moved, against made on the device",
    inputs=device_and_size,
    axes={"n": SQUARES},
    modes=EAGER,
    devices=("cuda",),
    cost=lambda n: moved(n * n),
)

# Element-wise


@suite.workload(
    inputs=lambda device, n: (torch.randn(n, device=device), torch.randn(n, device=device)),
    axes={"n": Axis(quick=[1000, 1_000_000], default=[100, 30_000, 10_000_000])},
    modes=EAGER_FIRST,
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
    axes={"n": Axis(quick=[100, 1000], default=[4000], full=[10_000])},
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


# Reductions


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


@suite.workload(inputs=matrix, axes={"n": SQUARES}, modes=("eager", "compile"), cost=lambda n: moved(2 * n * n))
def layer_norm(x: Tensor) -> Tensor:
    """(x − mean) / sqrt(variance + ε) of each row, written out"""
    centred = x - x.mean(dim=1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(dim=1, keepdim=True) + 1e-5)


# Indexing and layout


def rows_to_take(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randint(n, (n // 2,), device=device)


suite.compare(
    "take_rows",
    {
        "index": lambda x, index: x[index],
        "index_select": lambda x, index: x.index_select(0, index),
        "gather": lambda x, index: x.gather(0, index[:, None].expand(-1, x.shape[1])),
    },
    about="n/2 random rows of an (n, n) matrix",
    inputs=rows_to_take,
    axes={"n": LARGER_LATER},
    modes=EAGER_FIRST,
    cost=lambda n: moved(n * n),
)

suite.compare(
    "select_positive",
    {
        "mask": lambda x: x[x > 0],
        "masked_select": lambda x: torch.masked_select(x, x > 0),
        "nonzero": lambda x: x.view(-1)[(x.view(-1) > 0).nonzero().squeeze(1)],
    },
    about="The positive values of an (n, n) matrix, about half of them",
    inputs=matrix,
    axes={"n": LARGE},
    modes=EAGER,
    cost=lambda n: moved(1.5 * n * n),
)

suite.compare(
    "slice",
    {"view": lambda x: x[::2, 10:], "copy": lambda x: x[::2, 10:].clone()},
    about="Every second row from column 10 on: a view, and copied",
    inputs=matrix,
    axes={"n": Axis(default=[1000])},
    modes=EAGER,
)

suite.compare(
    "transpose",
    {"permute": lambda x: x.permute(1, 0), "contiguous": lambda x: x.permute(1, 0).contiguous()},
    about="A transposed (n, n) matrix: as a view, and made contiguous",
    inputs=matrix,
    axes={"n": LARGE},
    modes=EAGER,
)

suite.compare(
    "flatten",
    {"view": lambda x: x.view(-1), "reshape": lambda x: x.reshape(-1), "copy": lambda x: x.clone().view(-1)},
    about="(n, n) to n² values",
    inputs=matrix,
    axes={"n": Axis(default=[1000])},
    modes=EAGER,
)

suite.compare(
    "flatten_transposed",
    {
        "reshape": lambda x: x.t().reshape(-1),
        "contiguous": lambda x: x.t().contiguous().view(-1),
        "flatten_into": lambda x: torch.empty_like(x).copy_(x.t()).view(-1),
    },
    about="A transposed (n, n) matrix to n² values, which no view can be: reshape copies",
    inputs=matrix,
    axes={"n": Axis(default=[1000])},
    modes=EAGER,
    cost=lambda n: moved(2 * n * n),
)

# NumPy


def array(device: torch.device, n: int) -> tuple[np.ndarray]:
    del device
    return (np.random.default_rng(0).standard_normal((n, n), dtype=np.float32),)


suite.compare(
    "from_array",
    {"from_numpy": torch.from_numpy, "tensor": torch.tensor, "Tensor": torch.Tensor},
    about="An (n, n) NumPy array as a tensor: shared memory against copies",
    inputs=array,
    axes={"n": LARGER_LATER},
    modes=EAGER,
    devices=("cpu",),
)

suite.compare(
    "to_array",
    {"numpy": lambda x: x.numpy(), "copy": lambda x: x.numpy().copy()},
    about="An (n, n) tensor as a NumPy array: shared memory against a copy",
    inputs=matrix,
    axes={"n": Axis(default=[1000])},
    modes=EAGER,
    devices=("cpu",),
)

# Between host and device


def host_copies(device: torch.device, n: int) -> tuple[Tensor, Tensor, torch.device]:
    pageable = torch.randn(n, n)
    return pageable, pageable.clone().pin_memory(), device


suite.compare(
    "to_device",
    {
        "pageable": lambda pageable, _, device: pageable.to(device),
        "pinned": lambda _, pinned, device: pinned.to(device, non_blocking=True),
    },
    about="An (n, n) tensor from the host to the device, from pageable and from pinned memory",
    inputs=host_copies,
    axes={"n": SQUARES},
    modes=EAGER,
    devices=("cuda",),
    cost=lambda n: moved(n * n),
)

suite.compare(
    "to_host",
    {
        "pageable": lambda x, _: x.cpu(),
        "pinned": lambda x, pinned: pinned.copy_(x, non_blocking=True),
    },
    about="An (n, n) tensor from the device to the host, to pageable and to pinned memory",
    inputs=lambda device, n: (torch.randn(n, n, device=device), torch.zeros(n, n, pin_memory=True)),
    axes={"n": SQUARES},
    modes=EAGER,
    devices=("cuda",),
    cost=lambda n: moved(n * n),
)
