"""Workloads that are other on the side whose environment has SIDED: slower, wrong, gone, or worse."""

import os
import sys
import time
from types import FrameType

import torch

from torchduet import Suite, Unavailable
from torchduet.bench.duet.handover import Turns

suite = Suite("sided", "What differs between two sides")
OTHER = bool(os.environ.get("SIDED"))


def vector(device: torch.device) -> tuple[torch.Tensor]:
    return (torch.ones(200_000, device=device),)


@suite.workload(inputs=vector, modes=["eager"])
def equal(x: torch.Tensor) -> torch.Tensor:
    """The same on both sides."""
    return x + 1


@suite.workload(inputs=vector, modes=["eager"])
def more(x: torch.Tensor) -> torch.Tensor:
    """Several times as much on the other side."""
    result = x + 1
    for _ in range(8 if OTHER else 1):
        result = result * 1
    return result


@suite.workload(inputs=vector, modes=["eager"])
def raises(x: torch.Tensor) -> torch.Tensor:
    """Raises on the other side."""
    if OTHER:
        raise ValueError("not on this side")
    return x + 1


@suite.workload(inputs=vector, modes=["eager"])
def aborts(x: torch.Tensor) -> torch.Tensor:
    """Kills its process on the other side."""
    if OTHER and x.dtype == torch.float32:
        print("about to abort", flush=True)
        os.abort()
    return x + 1


def in_a_turn() -> bool:
    """Whether this call is made while the two sides take their turns, not before."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals["__name__"] != Turns.__module__:
        frame = frame.f_back
    return frame is not None


@suite.workload(inputs=vector, modes=["eager"])
def stumbles(x: torch.Tensor) -> torch.Tensor:
    """Kills its process on the other side in a block."""
    if OTHER and in_a_turn():
        os.abort()
    return x + 1


@suite.workload(inputs=vector, modes=["eager"])
def hangs(x: torch.Tensor) -> torch.Tensor:
    """Hangs on the other side in a block."""
    if OTHER and in_a_turn():
        time.sleep(1000)
    return x + 1


@suite.workload(inputs=vector, modes=["eager"])
def waits(x: torch.Tensor) -> torch.Tensor:
    """Takes 10 ms."""
    time.sleep(0.01)
    return x + 1


def with_child(device: torch.device) -> tuple[torch.Tensor]:
    if os.fork() == 0:
        time.sleep(1000)
        os._exit(0)
    return vector(device)


@suite.workload(inputs=with_child, modes=["eager"])
def forks(x: torch.Tensor) -> torch.Tensor:
    """Has a child process."""
    return x + 1


def nowhere(device: torch.device) -> tuple[torch.Tensor]:
    if OTHER:
        raise Unavailable("something is not installed: pip install something")
    return vector(device)


@suite.workload(inputs=nowhere, modes=["eager"])
def lacking(x: torch.Tensor) -> torch.Tensor:
    """Cannot run on the other side."""
    return x + 1
