"""Training steps of one process, of DDP and of FSDP."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.distributed.common import RANKS, suite
from torchduet.suites.mlp import cost, digits, layers
from torchduet.suites.workload import Axis, Implementation


@dataclass(frozen=True)
class Stepped:
    loss: Tensor
    parameters: list[Tensor]


class Training:
    """A model with its optimiser, which a call trains by one step."""

    def __init__(self, original: nn.Module, wrap: Any) -> None:
        self._original, self._wrap = original, wrap
        self.model = wrap(copy.deepcopy(original))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.parameters = list(self.model.parameters())

    def renew(self) -> Training:
        return Training(self._original, self._wrap)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Stepped:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return Stepped(loss.detach(), self.parameters)


def plain(model: nn.Module, x: Tensor, y: Tensor) -> Training:
    return Training(model, lambda module: module)


def ddp(model: nn.Module, x: Tensor, y: Tensor) -> Training:
    from torch.nn.parallel import DistributedDataParallel

    return Training(model, DistributedDataParallel)


def fsdp(model: nn.Module, x: Tensor, y: Tensor) -> Training:
    from torch.distributed.fsdp import fully_shard

    def wrap(module: nn.Module) -> nn.Module:
        for layer in module:
            if isinstance(layer, nn.Linear):
                fully_shard(layer)
        fully_shard(module)
        return module

    return Training(model, wrap)


def full(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def observed(inputs: Sequence[Any], stepped: Stepped) -> dict[str, Any]:
    return {
        "parameters": [full(p.detach()) for p in stepped.parameters],
        "gradients": [full(p.grad) for p in stepped.parameters],
    }


def inputs(device: torch.device, batch: int, ranks: int) -> tuple[Any, ...]:
    x, y = digits(batch)
    return layers(784, 512, 512, 10).to(device), x.to(device), y.to(device)


def shard(model: nn.Module, x: Tensor, y: Tensor, rank: int, ranks: int) -> tuple[Any, ...]:
    return model, x.chunk(ranks)[rank], y.chunk(ranks)[rank]


suite.compare(
    "mlp_step",
    {
        "plain": Implementation(plain, setup=True, alone=True),
        "local": Implementation(plain, setup=True, part=True),
        "ddp": Implementation(ddp, setup=True),
        "fsdp": Implementation(fsdp, setup=True),
    },
    about="Training step of an MLP",
    inputs=inputs,
    shard=shard,
    ranks=RANKS,
    axes={"batch": Axis(default=[256])},
    modes=("eager",),
    observe=observed,
    memory=True,
    tolerance={"fp32": 1e-3},
    cost=lambda batch: cost(batch, 784, 512, 512, 10),
)
