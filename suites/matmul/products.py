"""Matrix products: square, tall and skinny, batched, broadcast, with a vector, forward and backward."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost


def part() -> Suite:
    """A part of the suite ``matmul``: its workloads belong to that suite."""
    return Suite("matmul", "Matrix products: square, tall and skinny, batched, forward and backward")


suite = part()

FLOAT = 4  # bytes of a float32
EAGER_FIRST = Axis(quick=["eager"], full=["compile"])  # one product leaves a compiler nothing to fuse
# fp16-pure is for GPUs: a CPU without instructions for fp16 takes up to a hundred times as long as in fp32.
EVERY_PRECISION = Axis(
    quick=["fp32", "bf16", "tf32"],
    default=["fp16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16", "tf32"], default=["fp16", "bf16-pure"], full=["fp16-pure"])},
)
FP32_FIRST = Axis(
    quick=["fp32"],
    default=["tf32"],
    full=["bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32", "bf16-pure"], full=["fp16-pure"])},
)


def product(m: int, k: int, n: int, batch: int = 1, shared: bool = False) -> Cost:
    """The cost of ``batch`` products (m, k) by (k, n): each operand is read and the result written once.

    Args:
        shared: whether the whole batch has the same second operand.
    """
    elements = batch * (m * k + m * n) + (1 if shared else batch) * k * n
    return Cost(flops=2.0 * batch * m * k * n, bytes=float(FLOAT * elements))


def squares(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randn(n, n, device=device)


@suite.workload(
    inputs=squares,
    axes={
        "n": Axis(
            quick=[64, 512],
            default=[256, 1024, 2048],
            full=[4096, 10_000],
            on={"cuda": Axis(quick=[4096], default=[1024, 2048, 8192], full=[512, 16_384])},
        )
    },
    modes=EAGER_FIRST,
    precisions=EVERY_PRECISION,
    cost=lambda n: product(n, n, n),
)
def square(a: Tensor, b: Tensor) -> Tensor:
    """(n, n) by (n, n): torch.mm"""
    return torch.mm(a, b)


suite.compare(
    "spelling",
    {"mm": torch.mm, "matmul": torch.matmul, "operator": lambda a, b: a @ b},
    about="mm, matmul and @ on the same (n, n) matrices",
    inputs=squares,
    axes={"n": Axis(default=[256], on={"cuda": Axis(full=[4096])})},
    modes=["eager"],
    cost=lambda n: product(n, n, n),
)


@suite.workload(
    inputs=lambda device, m: (torch.randn(m, 64, device=device), torch.randn(64, 64, device=device)),
    axes={"m": Axis(default=[4096, 65_536], full=[1_000_000], on={"cuda": Axis(default=[1_000_000])})},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda m: product(m, 64, 64),
)
def tall_skinny(a: Tensor, b: Tensor) -> Tensor:
    """(m, 64) by (64, 64)"""
    return torch.mm(a, b)


@suite.workload(
    inputs=lambda device, k: (torch.randn(64, k, device=device), torch.randn(k, 64, device=device)),
    axes={"k": Axis(default=[4096, 65_536], full=[1_000_000], on={"cuda": Axis(default=[1_000_000])})},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda k: product(64, k, 64),
)
def long_inner(a: Tensor, b: Tensor) -> Tensor:
    """(64, k) by (k, 64): a long sum for each of few results"""
    return torch.mm(a, b)


def batched_inputs(device: torch.device, batch: int) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, 64, 64, device=device), torch.randn(batch, 64, 64, device=device)


@suite.workload(
    inputs=batched_inputs,
    axes={"batch": Axis(quick=[32], default=[256], full=[4096], on={"cuda": Axis(default=[4096], full=[32_768])})},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda batch: product(64, 64, 64, batch),
)
def batched(a: Tensor, b: Tensor) -> Tensor:
    """A batch of (64, 64) by (64, 64): torch.bmm"""
    return torch.bmm(a, b)


suite.compare(
    "batched_spelling",
    {"bmm": torch.bmm, "matmul": torch.matmul, "operator": lambda a, b: a @ b},
    about="bmm, matmul and @ on the same batch of (64, 64)",
    inputs=batched_inputs,
    axes={"batch": Axis(default=[32], on={"cuda": Axis(full=[4096])})},
    modes=["eager"],
    cost=lambda batch: product(64, 64, 64, batch),
)

suite.compare(
    "broadcast",
    {"matmul": torch.matmul, "bmm_of_expanded": lambda a, b: torch.bmm(a, b.expand(a.shape[0], -1, -1))},
    about="A batch of (64, 64) by one shared (64, 64)",
    inputs=lambda device, batch: (torch.randn(batch, 64, 64, device=device), torch.randn(64, 64, device=device)),
    axes={"batch": Axis(default=[256], full=[32, 4096], on={"cuda": Axis(default=[4096])})},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda batch: product(64, 64, 64, batch, shared=True),
)


def matrix_and_vector(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randn(n, device=device)


@suite.workload(
    inputs=matrix_and_vector,
    axes={
        "n": Axis(
            quick=[1024],
            default=[4096],
            full=[16_384],
            on={"cuda": Axis(quick=[8192], full=[4096, 16_384])},  # 256 MiB: several times the largest cache
        )
    },
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda n: product(n, n, 1),
)
def vector(a: Tensor, x: Tensor) -> Tensor:
    """(n, n) by (n): torch.mv, bound by memory"""
    return torch.mv(a, x)


suite.compare(
    "vector_spelling",
    {"mv": torch.mv, "matmul": torch.matmul, "column": lambda a, x: torch.mm(a, x[:, None])[:, 0]},
    about="mv, matmul and mm with a column, on the same (n, n) matrix and vector",
    inputs=matrix_and_vector,
    axes={"n": Axis(default=[256], on={"cuda": Axis(full=[16_384])})},
    modes=["eager"],
    cost=lambda n: product(n, n, 1),
)


@suite.workload(
    # Not centred on zero: a sum that cancels has no relative accuracy.
    inputs=lambda device, n: (torch.rand(n, device=device), torch.rand(n, device=device)),
    axes={"n": Axis(default=[100_000, 1_000_000], full=[100_000_000], on={"cuda": Axis(full=[100_000_000])})},
    modes=EAGER_FIRST,
    cost=lambda n: product(1, n, 1),
)
def dot(x: Tensor, y: Tensor) -> Tensor:
    """(n) by (n): torch.dot"""
    return torch.dot(x, y)


def trainable_squares(device: torch.device, n: int) -> tuple[Tensor, Tensor, Tensor]:
    a, b = squares(device, n)
    return a.requires_grad_(), b.requires_grad_(), torch.randn(n, n, device=device)


@suite.workload(
    inputs=trainable_squares,
    axes={"n": Axis(quick=[256], default=[1024], full=[4096], on={"cuda": Axis(quick=[4096], full=[1024, 8192])})},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    # Each of the two gradients is one product.
    cost=lambda n: Cost(flops=3 * 2.0 * n**3, bytes=float(FLOAT * 9 * n * n)),
)
def forward_backward(a: Tensor, b: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
    """(n, n) by (n, n) and the gradients of both"""
    return torch.autograd.grad(torch.mm(a, b), (a, b), upstream)
