"""Workloads that visit several sizes, and a stack of blocks."""

import torch
from torch import nn

from torchduet import Suite

suite = Suite("sizes")


class Block(nn.Module):
    """A linear layer with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.linear(x))


def of(*rows: int):  # type: ignore[no-untyped-def]
    return lambda device: (nn.Linear(8, 8, device=device), [torch.randn(n, 8, device=device) for n in rows])


MODES = ["eager", "compile", "compile-dynamic", "compile-static", "compile-model"]


@suite.workload(inputs=of(4, 6, 7, 1), each="x", modes=MODES)
def few(layer, x):  # type: ignore[no-untyped-def]
    """Four sizes."""
    with torch.no_grad():
        return layer(x).relu()


@suite.workload(inputs=of(*range(2, 14)), each="x", modes=MODES)
def many(layer, x):  # type: ignore[no-untyped-def]
    """More sizes than one function is compiled for."""
    with torch.no_grad():
        return layer(x).relu()


def stack(device):  # type: ignore[no-untyped-def]
    layers = nn.Sequential(nn.Linear(8, 8), nn.Sequential(*(Block() for _ in range(5))))
    return layers.to(device), torch.randn(4, 8, device=device)


@suite.workload(inputs=stack, modes=["eager", "compile-model", "compile-regions"])
def blocks(net, x):  # type: ignore[no-untyped-def]
    """Blocks of one kind."""
    with torch.no_grad():
        return net(x)


@suite.workload(
    inputs=lambda device: (nn.Linear(8, 8, device=device), torch.randn(4, 8, device=device)),
    modes=["eager", "compile-regions"],
)
def single(net, x):  # type: ignore[no-untyped-def]
    """Nothing is repeated."""
    return net(x)
