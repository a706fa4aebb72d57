"""Collectives over sizes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from torchduet.suites.distributed.common import SEVERAL, collective, suite
from torchduet.suites.workload import Axis

FLOAT = 4
SIZES = {"bytes": Axis(default=[1 << 10, 1 << 16, 1 << 20, 1 << 24], full=[1 << 28])}


def messages(device: torch.device, bytes: int, ranks: int) -> tuple[Tensor]:
    return (torch.rand(ranks, bytes // FLOAT, device=device),)


def own_message(x: Tensor, rank: int, ranks: int) -> tuple[Tensor]:
    return (x[rank].clone(),)


def summed(x: Tensor, rank: int, ranks: int) -> Tensor:
    return x.sum(0)


def all_reduce(x: Tensor) -> Tensor:
    dist.all_reduce(x)
    return x


def in_two_halves(x: Tensor) -> Tensor:
    """By reduce_scatter and all_gather, of which a ring's all_reduce consists."""
    part = torch.empty(x.numel() // dist.get_world_size(), device=x.device)
    dist.reduce_scatter_tensor(part, x)
    dist.all_gather_into_tensor(x, part)
    return x


suite.compare(
    "all_reduce",
    {"all_reduce": all_reduce, "reduce_scatter_all_gather": in_two_halves},
    about="Sum over ranks, in place",
    inputs=messages,
    shard=own_message,
    joint=summed,
    ranks=SEVERAL,
    axes=SIZES,
    modes=("eager",),
    scratch=("x",),
    cost=lambda bytes, ranks: collective(bytes, ranks, 2 * (ranks - 1) / ranks),
)
