"""Independent chains of products, one after the other and each in a thread of its own (``torch.jit.fork``).

The threads are PyTorch's inter-op threads, which nothing else of this project uses: their number matters to these
workloads alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchduet.suites.matmul.products import part
from torchduet.suites.workload import Axis, Cost, Implementation, Unavailable

suite = part()

STEPS = 4  # products of a chain
Chains = Callable[[Tensor, Tensor, Tensor], Tensor]


def chain(x: Tensor, weight: Tensor) -> Tensor:
    for _ in range(4):
        x = torch.tanh(x @ weight)
    return x


def two_in_turn(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return chain(x, first) + chain(x, second)


def four_in_turn(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return chain(x, first) + chain(x, second) + chain(x, first.t()) + chain(x, second.t())


def two_forked(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    other = torch.jit.fork(chain, x, second)
    return chain(x, first) + torch.jit.wait(other)


def four_forked(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    others = [
        torch.jit.fork(chain, x, second),
        torch.jit.fork(chain, x, first.t()),
        torch.jit.fork(chain, x, second.t()),
    ]
    y = chain(x, first)
    for other in others:
        y = y + torch.jit.wait(other)
    return y


def scripted(function: Chains) -> Callable[..., Any]:
    """The setup of a forked implementation: threads are started by TorchScript only; in Python a fork runs at once."""

    def setup(x: Tensor, first: Tensor, second: Tensor) -> Chains:
        del x, first, second
        if not hasattr(torch.jit, "script"):
            raise Unavailable(f"torch {torch.__version__} has no TorchScript (torch.jit.script)")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
            compiled: Chains = torch.jit.script(function)  # type: ignore[no-untyped-call]
        return compiled

    return setup


def matrices(device: torch.device, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs and two weights, (n, n) each, of a size that keeps a chain's values where tanh is no constant."""
    x, first, second = (torch.randn(n, n, device=device) / n**0.5 for _ in range(3))
    return x, first, second


for _name, _chains, _in_turn, _forked in (
    ("two_forks", 2, two_in_turn, two_forked),
    ("four_forks", 4, four_in_turn, four_forked),
):
    suite.compare(
        _name,
        {"in_turn": _in_turn, "forked": Implementation(scripted(_forked), setup=True)},
        about=f"{_chains} independent chains of {STEPS} products, in turn and in inter-op threads (torch.jit.fork)",
        inputs=matrices,
        axes={"n": Axis(full=[256, 512])},
        modes=("eager",),
        devices=("cpu",),
        cost=lambda n, chains=_chains: Cost(flops=2.0 * chains * STEPS * n**3),
    )
