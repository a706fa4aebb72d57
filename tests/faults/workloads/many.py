"""As many tiny families as the environment asks for, and where it names a file no further than that says."""

import os
from pathlib import Path
from time import sleep

import torch

from torchduet import Axis, Suite

suite = Suite("many", "Many tiny families")
NUMBER = int(os.environ.get("TORCHDUET_TEST_FAMILIES", "8"))
LIMIT = os.environ.get("TORCHDUET_TEST_LIMIT")


def ones(device: torch.device, n: int) -> tuple[torch.Tensor]:
    """Made once it is this family's turn: until then its worker waits, so that a run cannot outrun its test."""
    while LIMIT and n > int(Path(LIMIT).read_text()):
        sleep(0.02)
    return (torch.ones(n, device=device),)


@suite.workload(
    inputs=ones,
    axes={"n": Axis(quick=range(1, NUMBER + 1))},
    modes=["eager"],
)
def add(x: torch.Tensor) -> torch.Tensor:
    """x + 1"""
    return x + 1
