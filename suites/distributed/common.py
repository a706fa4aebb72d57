"""What the workloads of several processes share: their suite, numbers of ranks, and bandwidths of collectives."""

from __future__ import annotations

from typing import Any

import torch

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Unavailable

suite = Suite("distributed", "Several processes: collectives, DDP, FSDP, tensor parallel layers, RPC")

FLOAT = 4  # bytes of a float32
MODES = ("eager",)
RANKS = Axis(default=[1, 2, 4, 8], full=[16, 32, 64])  # a run takes those for which there are cores, or GPUs
SEVERAL = Axis(default=[2, 4, 8], full=[16, 32, 64])
PAIR = Axis(default=[2])


def collective(message: float, factor: float) -> Cost:
    """The cost of a collective of so many bytes.

    Args:
        message: bytes, of the larger of what a rank gives and gets.
        factor: of the bytes that cross the slowest link, for each byte of the message: 2(n−1)/n for all_reduce with n
            ranks, (n−1)/n for all_gather, reduce_scatter and all_to_all, 1 for broadcast. Source: nccl-tests,
            doc/PERFORMANCE.md.
    """
    return Cost(message=message, bus=message * factor)


def others(ranks: int) -> float:
    """(n−1)/n: the share of a message that belongs to other ranks."""
    return (ranks - 1) / ranks


def equal_part(amount: int, ranks: int, what: str) -> int:
    """What each rank gets of an amount, such as of rows.

    Args:
        what: is divided, in the plural.

    Raises:
        Unavailable: the parts would differ; every rank says so, so that all skip the same cases.
    """
    if amount % ranks:
        raise Unavailable(f"{ranks} ranks do not divide {amount} {what} equally: choose --ranks that do")
    return amount // ranks


def mesh(device: torch.device) -> Any:
    """All ranks in one dimension, for FSDP and tensor parallel layers; it uses the group that is there."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device.type, (dist.get_world_size(),))
