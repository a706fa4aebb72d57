"""A normalisation like torch.nn.RMSNorm, by hand."""

import os

import torch

EXTRA = int(os.environ.get("LAYERS_EXTRA_PASSES", "0"))  # passes over the input that have no effect on the result


class Norm(torch.nn.Module):
    """Divides each row by the root of the mean of its squares.

    Args:
        size: of a row.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x / rms(x) * weight``, of the shape of ``x``."""
        scale = x.pow(2).mean(-1, keepdim=True).add(1e-6).rsqrt()
        for _ in range(EXTRA):
            x.pow(2).mean(-1, keepdim=True).add(1e-6).rsqrt()
        return x * scale * self.weight
