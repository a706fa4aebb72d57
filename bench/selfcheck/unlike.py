"""A file of workloads whose implementations compute different things: two operators that differ in all but their input.

``torchduet selfcheck levels`` times them beside pairs of the built-in suites.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from torchduet import Suite

suite = Suite("unlike", "Two operators on the same input")


def layer_norm(x: Tensor) -> Tensor:
    """Each row with mean 0 and variance 1."""
    return functional.layer_norm(x, x.shape[1:])


suite.compare(
    "rows",
    {"softmax": lambda x: torch.softmax(x, dim=1), "layer_norm": layer_norm},
    about="layer norm against softmax, of each row of an (n, n) matrix",
    inputs=lambda device, n: (torch.randn(n, n, device=device),),
    axes={"n": [256]},
    modes=["eager"],
    check=False,  # the results are meant to differ
)
