"""Workloads that are other on the side whose environment has SIDED: slower, wrong, gone, or worse."""

import os

import torch

from torchduet import Suite, Unavailable

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


def nowhere(device: torch.device) -> tuple[torch.Tensor]:
    if OTHER:
        raise Unavailable("something is not installed: pip install something")
    return vector(device)


@suite.workload(inputs=nowhere, modes=["eager"])
def lacking(x: torch.Tensor) -> torch.Tensor:
    """Cannot run on the other side."""
    return x + 1
