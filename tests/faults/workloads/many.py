"""As many tiny families as the environment asks for."""

import os

import torch

from suites import Axis, Suite

suite = Suite("many", "Many tiny families")
NUMBER = int(os.environ.get("TORCHDUET_TEST_FAMILIES", "8"))


@suite.workload(
    inputs=lambda device, n: (torch.ones(n, device=device),),
    axes={"n": Axis(quick=range(1, NUMBER + 1))},
    modes=["eager"],
)
def add(x: torch.Tensor) -> torch.Tensor:
    """x + 1"""
    return x + 1
