"""The formula of attention by hand and by einsum, against that of PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost


def part() -> Suite:
    """A part of the suite ``attention``: its workloads belong to that suite."""
    return Suite("attention", "Scaled-dot-product attention, its time and its memory")


suite = part()

FLOAT = 4  # bytes of a float32
HEADS, DEPTH = 8, 64
MODES = Axis(quick=["eager"], full=["compile"])
PRECISIONS = Axis(
    quick=["fp32"],
    full=["bf16", "fp16", "tf32", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32", "bf16-pure"], full=["fp16", "fp16-pure"])},
)


def queries_keys_values(device: torch.device, length: int) -> tuple[Tensor, ...]:
    """Three tensors (1, heads, length, depth)."""
    return tuple(torch.randn(1, HEADS, length, DEPTH, device=device) for _ in range(3))


def cost(pairs: float, length: int) -> Cost:
    """Two products of depth multiply-adds for each pair of a query and a visible key; the softmax is not counted."""
    return Cost(flops=4.0 * HEADS * DEPTH * pairs, bytes=4.0 * FLOAT * HEADS * DEPTH * length)


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.transpose(-1, -2) / DEPTH**0.5
    return torch.matmul(scores.softmax(dim=-1), v)


def by_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / DEPTH**0.5
    return torch.einsum("bhqk,bhkd->bhqd", scores.softmax(dim=-1), v)


suite.compare(
    "attention",
    {
        "by_hand": by_hand,
        "einsum": by_einsum,
        "sdpa": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    },
    about="softmax(QKᵀ/√64)·V, 8 heads of depth 64",
    inputs=queries_keys_values,
    axes={
        "length": Axis(
            quick=[128],
            default=[256, 512, 1024],
            full=[4096],
            on={"cuda": Axis(quick=[4096], default=[1024], full=[8192])},
        )
    },
    modes=MODES,
    precisions=PRECISIONS,
    cost=lambda length: cost(length * length, length),
    call_seconds=lambda length, device: 0.05 * (length / 1024) ** 2 if is_host(device) else 0.0,  # by hand, two cores
    memory=True,
)


def with_mask(device: torch.device, length: int) -> tuple[Tensor, ...]:
    """Queries, keys, values, and a mask (length, length) of the keys that lie after each query."""
    later = torch.ones(length, length, dtype=torch.bool, device=device).triu(diagonal=1)
    return *queries_keys_values(device, length), later


def causal_by_hand(q: Tensor, k: Tensor, v: Tensor, later: Tensor) -> Tensor:
    scores = (q @ k.transpose(-1, -2) / DEPTH**0.5).masked_fill(later, -torch.inf)
    return torch.matmul(scores.softmax(dim=-1), v)


def causal_by_einsum(q: Tensor, k: Tensor, v: Tensor, later: Tensor) -> Tensor:
    scores = (torch.einsum("bhqd,bhkd->bhqk", q, k) / DEPTH**0.5).masked_fill(later, -torch.inf)
    return torch.einsum("bhqk,bhkd->bhqd", scores.softmax(dim=-1), v)


suite.compare(
    "causal_attention",
    {
        "by_hand": causal_by_hand,
        "einsum": causal_by_einsum,
        "sdpa": lambda q, k, v, _: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    },
    about="The same, each query seeing only the keys up to its own place",
    inputs=with_mask,
    axes={"length": Axis(default=[512], full=[4096], on={"cuda": Axis(default=[4096], full=[8192])})},
    modes=MODES,
    precisions=PRECISIONS,
    cost=lambda length: cost(length * (length + 1) / 2, length),
    memory=True,
)


SEQUENCES = 2


def of_depth(device: torch.device, depth: int, length: int) -> tuple[Tensor, ...]:
    """Three tensors (sequences, heads, length, depth)."""
    return tuple(torch.randn(SEQUENCES, HEADS, length, depth, device=device) for _ in range(3))


def depth_cost(depth: int, length: int) -> Cost:
    """As :func:`cost`, for heads of this depth."""
    heads = SEQUENCES * HEADS
    return Cost(flops=4.0 * heads * depth * length**2, bytes=4.0 * FLOAT * heads * depth * length)


suite.compare(
    "head_depth",
    {
        "by_hand": lambda q, k, v: torch.matmul((q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1), v),
        "sdpa": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    },
    about="softmax(QKᵀ/√depth)·V, 2 sequences, 8 heads of each depth: fused kernels have a limit for it",
    inputs=of_depth,
    axes={
        "depth": Axis(full=[32, 128], on={"cuda": Axis(default=[128], full=[64, 256])}),
        "length": Axis(full=[512], on={"cuda": Axis(default=[4096])}),
    },
    modes=MODES,
    precisions=PRECISIONS,
    cost=depth_cost,
    memory=True,
)
