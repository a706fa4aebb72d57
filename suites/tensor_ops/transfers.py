"""Conversions from and to NumPy, and copies between host and device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchduet.suites.devices import HOST, PINNING
from torchduet.suites.tensor_ops.common import COPIES, EAGER, matrix, moved, part
from torchduet.suites.workload import Axis

suite = part()


def array(device: torch.device, n: int) -> tuple[np.ndarray]:
    del device
    return (np.random.default_rng(0).standard_normal((n, n), dtype=np.float32),)


suite.compare(
    "from_array",
    {"from_numpy": torch.from_numpy, "tensor": torch.tensor, "Tensor": torch.Tensor},
    about="An (n, n) NumPy array as a tensor: shared memory against copies",
    inputs=array,
    axes={"n": Axis(quick=[1000], full=[4000, 10_000])},
    modes=EAGER,
    devices=(HOST,),
)

suite.compare(
    "to_array",
    {"numpy": lambda x: x.numpy(), "copy": lambda x: x.numpy().copy()},
    about="An (n, n) tensor as a NumPy array: shared memory against a copy",
    inputs=matrix,
    axes={"n": Axis(default=[1000])},
    modes=EAGER,
    devices=(HOST,),
)

# Between host and device


def host_copies(device: torch.device, n: int) -> tuple[Tensor, Tensor, torch.device]:
    pageable = torch.randn(n, n)
    return pageable, pageable.clone().pin_memory(), device


suite.compare(
    "to_device",
    {
        "pageable": lambda pageable, _, device: pageable.to(device),
        "pinned": lambda _, pinned, device: pinned.to(device, non_blocking=True),
    },
    about="An (n, n) tensor from the host to the device, from pageable and from pinned memory",
    inputs=host_copies,
    axes={"n": COPIES},
    modes=EAGER,
    devices=PINNING,
    cost=lambda n: moved(n * n),
)

suite.compare(
    "to_host",
    {
        "pageable": lambda x, _: x.cpu(),
        "pinned": lambda x, pinned: pinned.copy_(x, non_blocking=True),
    },
    about="An (n, n) tensor from the device to the host, to pageable and to pinned memory",
    inputs=lambda device, n: (torch.randn(n, n, device=device), torch.zeros(n, n, pin_memory=True)),
    axes={"n": COPIES},
    modes=EAGER,
    devices=PINNING,
    cost=lambda n: moved(n * n),
)
