"""What the workloads of several processes share: their suite, numbers of ranks, and bandwidths of collectives."""

from __future__ import annotations

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

suite = Suite("distributed", "Several processes: collectives, DDP, FSDP, tensor parallel layers, RPC")

RANKS = Axis(default=[1, 2, 4, 8], full=[16, 32, 64])  # a run takes those for which there are cores, or GPUs
SEVERAL = Axis(default=[2, 4, 8], full=[16, 32, 64])


def collective(message: float, ranks: int, factor: float) -> Cost:
    """The cost of a collective of so many bytes.

    Args:
        message: bytes, of the larger of what a rank gives and gets.
        factor: of the bytes that cross the slowest link, for each byte of the message, with so many ranks: 2(n−1)/n for
            all_reduce, (n−1)/n for all_gather, reduce_scatter and all_to_all, 1 for broadcast. Source: nccl-tests,
            doc/PERFORMANCE.md.
    """
    del ranks
    return Cost(message=message, bus=message * factor)
