"""Creating tensors: of one value, a range or random numbers, and on a device."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.devices import ACCELERATOR
from torchduet.suites.tensor_ops.common import COPIES, EAGER, LARGE, SMALL, moved, part

suite = part()


def device_and_size(device: torch.device, n: int) -> tuple[torch.device, int]:
    return device, n


suite.compare(
    "constant",
    {
        "zeros": lambda device, n: torch.zeros(n, n, device=device),
        "zero_": lambda device, n: torch.empty(n, n, device=device).zero_(),
        "full": lambda device, n: torch.full((n, n), 0.0, device=device),
    },
    about="An (n, n) tensor of one value",
    inputs=device_and_size,
    axes={"n": LARGE},
    modes=EAGER,
    cost=lambda n: moved(n * n),
)


@suite.workload(inputs=device_and_size, axes={"n": LARGE}, modes=EAGER, cost=lambda n: moved(n * n))
def zeros(device: torch.device, n: int) -> Tensor:
    """(n, n) zeros"""
    return torch.zeros(n, n, device=device)


@suite.workload(inputs=device_and_size, axes={"n": LARGE}, modes=EAGER, cost=lambda n: moved(n * n))
def ones(device: torch.device, n: int) -> Tensor:
    """(n, n) ones"""
    return torch.ones(n, n, device=device)


@suite.workload(
    inputs=device_and_size,
    axes={"n": SMALL},
    modes=EAGER,
    cost=lambda n: moved(n * n),
)
def arange(device: torch.device, n: int) -> Tensor:
    """0, 1, … n² − 1"""
    return torch.arange(n * n, device=device, dtype=torch.float32)


suite.compare(
    "random",
    {
        "rand": lambda device, n: torch.rand(n, n, device=device),
        "randn": lambda device, n: torch.randn(n, n, device=device),
    },
    about="(n, n) random numbers, uniform and normal",
    inputs=device_and_size,
    axes={"n": LARGE},
    modes=EAGER,
    deterministic=False,
    cost=lambda n: moved(n * n),
)

suite.compare(
    "create_on_device",
    {
        "create_and_move": lambda device, n: torch.ones(n, n).to(device),
        "create_there": lambda device, n: torch.ones(n, n, device=device),
    },
    about="An (n, n) tensor made on the CPU and moved, against made on the device",
    inputs=device_and_size,
    axes={"n": COPIES},
    modes=EAGER,
    devices=(ACCELERATOR,),
    cost=lambda n: moved(n * n),
)
