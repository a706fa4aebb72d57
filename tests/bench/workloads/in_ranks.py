"""Functions of several processes: a sum over ranks that changes its input, a mean with and without communication."""

import torch
import torch.distributed as dist
from torch import Tensor

from torchduet import Axis, Cost, Implementation, Suite

suite = Suite("in_ranks", "Functions of several processes")
RANKS = Axis(quick=[1, 2], default=[64])


def rows(device: torch.device, n: int, ranks: int) -> tuple[Tensor]:
    return (torch.rand(ranks, n, device=device),)


def own(x: Tensor, rank: int) -> tuple[Tensor]:
    return (x[rank].clone(),)


def added(x: Tensor) -> Tensor:
    dist.all_reduce(x)
    return x


def sent_round(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x)
    x.copy_(torch.stack(parts).sum(0))
    return x


suite.compare(
    "sums",
    {"added": added, "sent_round": sent_round},
    about="The sum over ranks, in place",
    inputs=rows,
    shard=own,
    joint=lambda x: x.sum(0),
    ranks=Axis(quick=[2]),
    axes={"n": Axis(quick=[64])},
    modes=("eager",),
    cost=lambda n, ranks: Cost(message=4 * n, bus=4 * n * 2 * (ranks - 1) / ranks),
)


class Mean:
    """The mean of all rows' squares; ``renew`` makes another one, with memory of its own."""

    def __init__(self, *, together: bool) -> None:
        self.together = together
        self.kept = torch.zeros(1000)

    def renew(self) -> "Mean":
        return Mean(together=self.together)

    def __call__(self, x: Tensor) -> Tensor:
        mean = (x * x).mean()
        if self.together:
            dist.all_reduce(mean)
            mean /= dist.get_world_size()
        return mean


suite.compare(
    "mean",
    {
        "plain": Implementation(lambda _: Mean(together=False), setup=True, alone=True),
        "local": Implementation(lambda _: Mean(together=False), setup=True, part=True),
        "together": Implementation(lambda _: Mean(together=True), setup=True),
    },
    about="The mean of squares of all rows",
    inputs=lambda device, n: (torch.rand(n, 100, device=device),),
    shard=lambda x, rank, ranks: (x.chunk(ranks)[rank],),
    ranks=RANKS,
    axes={"n": Axis(quick=[400])},
    modes=("eager",),
    memory=True,
    cost=lambda n: Cost(flops=200.0 * n, samples=n),
)
