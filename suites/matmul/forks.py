"""Independent chains of products, one after the other and each in a thread of its own (``torch.jit.fork``).

The threads are PyTorch's inter-op threads, which nothing else of this project uses: their number matters to these
workloads alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from torchduet.suites.matmul.products import part
from torchduet.suites.workload import Axis, Cost, Implementation, Unavailable

suite = part()

STEPS = 4  # products of a chain
Chains = Callable[[Tensor, list[Tensor]], Tensor]


def chain(x: Tensor, weight: Tensor) -> Tensor:
    for _ in range(4):  # STEPS; TorchScript takes no constant of a module
        x = torch.tanh(x @ weight)
    return x


def in_turn(x: Tensor, weights: list[Tensor]) -> Tensor:
    y = chain(x, weights[0])
    for weight in weights[1:]:
        y = y + chain(x, weight)
    return y


def forked(x: Tensor, weights: list[Tensor]) -> Tensor:
    others = [torch.jit.fork(chain, x, weight) for weight in weights[1:]]  # type: ignore[no-untyped-call]
    y = chain(x, weights[0])
    for other in others:
        y = y + torch.jit.wait(other)  # type: ignore[no-untyped-call]
    return y


def scripted(x: Tensor, weights: list[Tensor]) -> Chains:
    """The setup of ``forked``: threads are started by TorchScript only; in Python a fork runs at once."""
    del x, weights
    if not hasattr(torch.jit, "script"):
        raise Unavailable(f"torch {torch.__version__} has no TorchScript (torch.jit.script)")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        compiled: Chains = torch.jit.script(forked)
    return compiled


def matrices(device: torch.device, chains: int, n: int) -> tuple[Tensor, list[Tensor]]:
    """Inputs (n, n), and a weight (n, n) for each chain, of a size that keeps its values where tanh is no constant."""
    x, *weights = (torch.randn(n, n, device=device) / n**0.5 for _ in range(1 + chains))
    return x, weights


suite.compare(
    "forks",
    {"in_turn": in_turn, "forked": Implementation(scripted, setup=True)},
    about=f"Independent chains of {STEPS} products, in turn and in inter-op threads (torch.jit.fork)",
    inputs=matrices,
    axes={"chains": Axis(full=[4, 8]), "n": Axis(full=[256])},
    modes=("eager",),
    devices=("cpu",),
    cost=lambda chains, n: Cost(flops=2.0 * chains * STEPS * n**3),
)
