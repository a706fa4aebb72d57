"""Workloads of processes that were started together; variables of the environment let some of them go wrong."""

import os
import signal
from pathlib import Path
from time import sleep

import torch
import torch.distributed as dist

from torchduet import Suite

suite = Suite("together", "Sums over ranks")


def values(device: torch.device) -> tuple[torch.Tensor]:
    return (torch.ones(256, device=device),)


def all_reduce(x: torch.Tensor) -> torch.Tensor:
    total = x.clone()
    dist.all_reduce(total)
    return total


def summed(x: torch.Tensor, ranks: int) -> torch.Tensor:
    return x * ranks


def without_the_process_that_follows(x: torch.Tensor, rank: int) -> tuple[torch.Tensor]:
    if rank == 1 and "KILL_FOLLOWER" in os.environ:
        os.kill(os.getppid(), signal.SIGKILL)
        sleep(60)
    return (x,)


def long(x: torch.Tensor) -> torch.Tensor:
    if "LONG" in os.environ:
        Path(os.environ["LONG"], str(dist.get_rank())).touch()
        sleep(60)
    return all_reduce(x)


suite.compare("long", {"all": long}, inputs=values, joint=summed, ranks=[2], modes=["eager"])
suite.compare(
    "fragile",
    {"all": all_reduce},
    inputs=values,
    joint=summed,
    shard=without_the_process_that_follows,
    ranks=[2],
    modes=["eager"],
)
suite.compare("sum", {"all": all_reduce}, inputs=values, joint=summed, ranks=[2], modes=["eager"])
suite.compare("three", {"all": all_reduce}, inputs=values, joint=summed, ranks=[3], modes=["eager"])
suite.compare("alone", {"add": lambda x: x + 1}, inputs=values, modes=["eager"])
