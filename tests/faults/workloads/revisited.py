"""Families that are measured again; the worker of one of them dies in its second visit."""

import os
import signal
from pathlib import Path

import torch

from torchduet import Suite

suite = Suite("revisited", "Vectors")


def vectors(device: torch.device) -> tuple[torch.Tensor]:
    return (torch.randn(1000, device=device),)


def at_first(device: torch.device) -> tuple[torch.Tensor]:
    """Made in the first process that asks for it, which another one kills itself for."""
    first = Path(os.environ["TORCHDUET_TEST_FIRST"])
    if not first.exists():
        first.write_text(str(os.getpid()))
    if first.read_text() != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return vectors(device)


def once(x: torch.Tensor) -> torch.Tensor:
    return x + 1


def twice(x: torch.Tensor) -> torch.Tensor:
    return x + 1 + 0.0


for name, inputs in {"early": vectors, "middle": at_first, "late": vectors}.items():
    suite.compare(name, {"once": once, "twice": twice}, inputs=inputs, modes=["eager"])
