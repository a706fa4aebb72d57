"""Workloads that ask for more than their inputs: workers, seeds, a meter, a setup, what is not there."""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from torchduet import Implementation, Meter, Suite, Unavailable

suite = Suite("asking")
left_behind: list[str] = []


def vector(device: torch.device) -> tuple[torch.Tensor]:
    return (torch.ones(1000, device=device),)


@suite.workload(inputs=vector, modes=["eager"], workers=[0, 2], deterministic=False)
def everything(x: torch.Tensor, workers: int, seed: int, meter: Meter) -> torch.Tensor:
    """Notes what it was given."""
    meter.value("workers", workers)
    meter.value("seed", seed)
    y = x + 1
    meter.lap("add")
    if not left_behind:  # once: removing what all calls made would take longer than they did
        left_behind.append(tempfile.mkdtemp())
        Path(left_behind[0], "left behind").write_text("by a workload")
    return y


@suite.workload(inputs=vector, modes=["eager"])
def waits(x: torch.Tensor) -> torch.Tensor:
    """Sleeps, as a case does whose workers do its work."""
    time.sleep(5e-3)
    return x + 1


def doubler(x: torch.Tensor) -> Any:
    factor = torch.full_like(x, 2)
    return lambda x: x * factor


def lacking(_: torch.Tensor) -> Any:
    raise Unavailable("nothing is not installed: pip install nothing")


suite.compare(
    "made",
    {
        "plain": lambda x: x * 2,
        "setup": Implementation(doubler, setup=True, modes=("eager",)),
        "lacking": Implementation(lacking, setup=True, modes=("eager",)),
    },
    inputs=vector,
    modes=["eager"],
    memory=True,
)
