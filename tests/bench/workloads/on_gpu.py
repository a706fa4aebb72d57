"""Workloads for a GPU: one that runs out of its memory, one that breaks its context, and sound ones beside them."""

from __future__ import annotations

import torch

from torchduet import Suite

suite = Suite("on_gpu")


def numbers(device: torch.device) -> tuple[torch.Tensor]:
    return (torch.ones(1_000_000, device=device),)


@suite.workload(inputs=numbers, modes=["eager"], devices=["cuda"])
def sound_before(x: torch.Tensor) -> torch.Tensor:
    """x + 1"""
    return x + 1


def too_large(x: torch.Tensor) -> torch.Tensor:
    if x.device.type == "cuda":
        return torch.ones(1 << 45, device=x.device)
    return x


suite.compare(
    "memory", {"fits": lambda x: x * 2, "too_large": too_large}, inputs=numbers, modes=["eager"], devices=["cuda"]
)


@suite.workload(inputs=numbers, modes=["eager"], devices=["cuda"])
def out_of_bounds(x: torch.Tensor) -> torch.Tensor:
    """Reads beyond the end of x on the GPU: no CUDA call works in that process afterwards."""
    index = torch.tensor([0 if x.device.type == "cpu" else 1 << 40], device=x.device)
    return x.gather(0, index)


@suite.workload(inputs=numbers, modes=["eager"], devices=["cuda"])
def sound_after(x: torch.Tensor) -> torch.Tensor:
    """x - 1"""
    return x - 1
