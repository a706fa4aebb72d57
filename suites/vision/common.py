"""What the workloads of vision share: their suite, precisions, costs, checked values and steps of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.devices import is_host
from torchduet.suites.mlp import Autocast
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

FLOPS = 5e10  # per second, roughly, of two cores
FORMATS = {"memory_format": ["contiguous", "channels_last"]}
FORMATS_LATER = {"memory_format": Axis(default=["contiguous"], full=["channels_last"])}

ON_GPU = Axis(quick=["fp32", "bf16"], default=["tf32"])
ON_GPU_INFERENCE = Axis(quick=["fp32", "bf16"], default=["tf32"], full=["fp16"])
TRAINED = Axis(quick=["fp32"], full=["bf16"], on={"cuda": ON_GPU})
INFERRED = Axis(quick=["fp32"], full=["bf16"], on={"cuda": ON_GPU_INFERENCE})
EAGER_FIRST = Axis(
    quick=["eager"], full=["compile-model"], on={"cuda": Axis(quick=["eager"], default=["compile-model"])}
)

# Of a network's output, after up to 18 layers whose weights and inputs are rounded: measured are 0.033 in bf16
# (ResNet-18, narrow), 0.018 (Tiny YOLO) and 0.009 (VGG-11); TF32 and fp16 have three bits more.
OUTPUT_TOLERANCE = {"bf16": 0.1, "tf32": 0.02, "fp16": 0.02}


def part() -> Suite:
    """A part of the suite ``vision``: its workloads belong to that suite."""
    return Suite("vision", "Networks that classify images and find objects in them: training and inference steps")


def cost_of(layers: Sequence[int], batch: int, *, training: bool) -> Cost:
    """The cost of a network from the multiply-adds per image of each layer.

    The backward pass needs twice the operations of the forward pass (Kaplan et al. 2020, §2.1), except in the first
    layer: the gradient of its input is not computed, so it needs them once.
    """
    return Cost(flops=2.0 * batch * (3 * sum(layers) - layers[0] if training else sum(layers)), samples=batch)


def seconds_of(cost: Callable[..., Cost]) -> Callable[..., float]:
    """Roughly how long a call of this cost takes: ``call_seconds`` of a workload."""

    def seconds(device: str, **size: Any) -> float:
        return (cost(**size).flops or 0.0) / FLOPS if is_host(device) else 0.0

    return seconds


def whole_state(inputs: Sequence[Any], loss: Tensor) -> tuple[Tensor, ...]:
    """The values by which a training step is checked: loss, a vector of gradients, one of parameters.

    A unit that is rounded to the other side of zero changes small gradients behind it much, the whole vector little.
    """
    parameters = [parameter for parameter in inputs[0].parameters() if parameter.grad is not None]
    gradients = [parameter.grad for parameter in parameters]
    return loss, *(torch.cat([value.flatten() for value in values]) for values in (gradients, parameters))


def images(device: torch.device, batch: int, pixels: int, classes: int) -> tuple[Tensor, Tensor]:
    """Random images (batch, 3, pixels, pixels) and their classes."""
    return (
        torch.randn(batch, 3, pixels, pixels, device=device),
        torch.randint(classes, (batch,), device=device),
    )


def normalising(model: nn.Module, x: Tensor) -> nn.Module:
    """The model in evaluation mode, its batch normalisation with the means and variances of these images.

    With those that it begins with, random weights would let signals fade, and the last layer's bias would hide errors.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for layer in layers:
            layer.momentum = 1.0
        model.train()(x)
    return model.eval()


def classify(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast) -> Tensor:
    """A training step: zero_grad, forward and cross-entropy under autocast, backward, optimiser step."""
    optimizer.zero_grad()
    with autocast():
        loss = F.cross_entropy(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def logits(model: nn.Module, x: Tensor, autocast: Autocast) -> Tensor:
    """An inference step: scores of all classes (batch, classes)."""
    with torch.no_grad(), autocast():
        return model(x)  # type: ignore[no-any-return]
