"""Layers as einsum: convolution and batch normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.einsum.common import EAGER_FIRST, FP32_FIRST, moved, part
from torchduet.suites.workload import Axis, Cost

suite = part()

KERNEL, PADDING = 3, 1
CHANNELS, PIXELS = 32, 32
EPSILON = 1e-5  # the default of batch normalisation
BATCH = Axis(default=[8], full=[64], on={"cuda": Axis(default=[256])})


def convolution_inputs(device: torch.device, batch: int) -> tuple[Tensor, Tensor]:
    """Maps (batch, 32, 32, 32) and the weights of 32 kernels of 3×3."""
    weight = torch.randn(CHANNELS, CHANNELS, KERNEL, KERNEL, device=device)
    return torch.randn(batch, CHANNELS, PIXELS, PIXELS, device=device), weight / (CHANNELS * KERNEL**2) ** 0.5


def convolution_einsum(x: Tensor, weight: Tensor) -> Tensor:
    """The patch of each position as a column; einsum sums its products with every kernel."""
    columns = F.unfold(x, KERNEL, padding=PADDING)
    return torch.einsum("bkp,ok->bop", columns, weight.flatten(1)).reshape(len(x), -1, *x.shape[2:])


def convolution_cost(batch: int) -> Cost:
    """A multiply-add for each value of the result and each weight of its kernel."""
    values = batch * CHANNELS * PIXELS**2
    weights = CHANNELS * KERNEL**2
    return moved(2 * values + CHANNELS * weights, 2 * values * weights)


def normalisation_inputs(device: torch.device, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maps (batch, 32, 32, 32), and a scale and a shift for each channel."""
    x = 1 + torch.randn(batch, CHANNELS, PIXELS, PIXELS, device=device)
    return x, 0.5 + torch.rand(CHANNELS, device=device), torch.randn(CHANNELS, device=device)


def normalisation(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, scale, shift, training=True, eps=EPSILON)


def normalisation_einsum(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Means and variances of the channels, then one factor and one summand for each of them."""
    count = x.numel() // x.shape[1]
    mean = torch.einsum("bchw->c", x) / count
    centred = x - mean[:, None, None]
    variance = torch.einsum("bchw,bchw->c", centred, centred) / count
    factor = scale * torch.rsqrt(variance + EPSILON)
    return torch.einsum("bchw,c->bchw", centred, factor) + shift[:, None, None]


def normalisation_cost(batch: int) -> Cost:
    """Each value is read and written once; it is summed, centred, squared and summed, scaled and shifted."""
    values = batch * CHANNELS * PIXELS**2
    return moved(2 * values + 2 * CHANNELS, 6 * values)


suite.compare(
    "convolution",
    {"conv2d": lambda x, weight: F.conv2d(x, weight, padding=PADDING), "einsum": convolution_einsum},
    about="bkp,ok->bop of unfolded patches: a convolution of 3×3",
    inputs=convolution_inputs,
    axes={"batch": BATCH},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=convolution_cost,
)
suite.compare(
    "batch_normalisation",
    {"batch_norm": normalisation, "einsum": normalisation_einsum},
    about="bchw->c for means, bchw,bchw->c for variances, bchw,c->bchw for the factors: training mode",
    inputs=normalisation_inputs,
    axes={"batch": BATCH},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=normalisation_cost,
)
