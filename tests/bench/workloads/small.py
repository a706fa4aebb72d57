"""A user's file of workloads, small enough to be timed in a test."""

import torch

from torchduet import Axis, Cost, Suite

suite = Suite("small", "Vectors")


def vectors(device: torch.device, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, device=device), torch.randn(n, device=device)


@suite.workload(inputs=vectors, axes={"n": Axis(quick=[1000, 4000])}, modes=["eager"], cost=lambda n: Cost(flops=n))
def add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x + y"""
    return x + y


def loop(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x + y + 0.0


suite.compare("sum", {"once": lambda x, y: x + y, "twice": loop}, inputs=vectors, axes={"n": [2000]}, modes=["eager"])
