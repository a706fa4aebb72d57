"""As many tiny families as the environment asks for; every eighth has two ranks, so that workers have children."""

import os

import torch
import torch.distributed as dist

from torchduet import Axis, Suite

suite = Suite("mixed", "Tiny families, some of two processes")
NUMBER = int(os.environ.get("TORCHDUET_TEST_FAMILIES", "8"))
RANKED = range(8, NUMBER + 1, 8)


@suite.workload(
    inputs=lambda device, n: (torch.ones(n, device=device),),
    axes={"n": Axis(quick=[n for n in range(1, NUMBER + 1) if n not in RANKED])},
    modes=["eager"],
)
def add(x: torch.Tensor) -> torch.Tensor:
    """x + 1"""
    return x + 1


if RANKED:

    @suite.workload(
        inputs=lambda device, n, ranks: (torch.ones(ranks, n, device=device),),
        shard=lambda x, rank: (x[rank].clone(),),
        joint=lambda x: x.sum(0),
        ranks=Axis(quick=[2]),
        axes={"n": Axis(quick=RANKED)},
        modes=["eager"],
    )
    def total(x: torch.Tensor) -> torch.Tensor:
        """The sum over two ranks"""
        x = x.clone()
        dist.all_reduce(x)
        return x
