"""What the workloads of vision share: their suite, modes, precisions, images, and models for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis

ON_GPU = Axis(quick=["fp32", "bf16"], default=["tf32"], full=["fp16"])
FP32_FIRST = Axis(quick=["fp32"], full=["bf16"], on={"cuda": ON_GPU})
PURE_ON_GPU = Axis(quick=["fp32", "bf16"], default=["tf32"], full=["bf16-pure", "fp16"])
PURE_LAST = Axis(quick=["fp32"], full=["bf16", "bf16-pure"], on={"cuda": PURE_ON_GPU})
# fp16-pure is for inference on GPUs, for the reasons of torchduet.suites.mlp.
INFERRED_ON_GPU = Axis(quick=["fp32", "bf16"], default=["tf32"], full=["bf16-pure", "fp16-pure", "fp16"])
INFERRED = Axis(quick=["fp32"], full=["bf16", "bf16-pure"], on={"cuda": INFERRED_ON_GPU})
EAGER_FIRST = Axis(
    quick=["eager"], full=["compile-model"], on={"cuda": Axis(quick=["eager"], default=["compile-model"])}
)


def part() -> Suite:
    """A part of the suite ``vision``: its workloads belong to that suite."""
    return Suite("vision", "Networks that classify images and find objects in them: training and inference steps")


def images(device: torch.device, batch: int, pixels: int, classes: int) -> tuple[Tensor, Tensor]:
    """Random images (batch, 3, pixels, pixels) and their classes."""
    return (
        torch.randn(batch, 3, pixels, pixels, device=device),
        torch.randint(classes, (batch,), device=device),
    )


def evaluated(model: nn.Module, x: Tensor) -> nn.Module:
    """The model in evaluation mode, its batch normalisation with the means and variances of these images.

    With the initial means and variances, random weights would let signals fade, and the last layer's bias would hide
    errors.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 1.0
    if layers:
        with torch.no_grad():
            model.train()(x)
    return model.eval()
