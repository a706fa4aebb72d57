"""ResNet-18 and VGG-11: convolutional networks that classify images.

A training step of ResNet-18 is in the suite ``convnet``.
"""

from __future__ import annotations

from typing import Any

import torch

from torchduet.suites.vision.common import (
    EAGER_FIRST,
    FORMATS,
    INFERRED,
    ON_GPU_INFERENCE,
    OUTPUT_TOLERANCE,
    TRAINED,
    classify,
    cost_of,
    images,
    logits,
    normalising,
    part,
    seconds_of,
    whole_state,
)
from torchduet.suites.vision.resnet import RESNETS
from torchduet.suites.vision.vgg import VGGS
from torchduet.suites.workload import Axis, Cost

suite = part()


def network_axis(name: str, *, quick: bool = False) -> Axis:
    """A narrow network on small images for a CPU; at ``full``, and on a GPU, the published one on 224×224 pixels."""
    narrow, gpu = [f"{name}-narrow"], Axis(quick=[name]) if quick else Axis(default=[name])
    return (
        Axis(quick=narrow, full=[name], on={"cuda": gpu})
        if quick
        else Axis(default=narrow, full=[name], on={"cuda": gpu})
    )


def resnet(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A residual network in evaluation mode, and images."""
    architecture = RESNETS[network]
    x, _ = images(device, batch, architecture.pixels, architecture.classes)
    return normalising(architecture.network().to(device), x), x


def resnet_cost(network: str, batch: int) -> Cost:
    """The cost of the convolutions and the linear layer."""
    return cost_of(RESNETS[network].multiply_adds(), batch, training=False)


suite.compare(
    "infer_resnet",
    {"step": logits},
    about="Inference step of ResNet-18: logits under no_grad",
    inputs=resnet,
    axes={
        "network": network_axis("resnet18", quick=True),
        "batch": Axis(quick=[8], on={"cuda": Axis(quick=[128], full=[1])}),
    },
    modes=Axis(quick=["eager"], default=["compile-model"]),
    precisions=INFERRED,
    knobs=FORMATS,
    tolerance=OUTPUT_TOLERANCE,
    cost=resnet_cost,
    call_seconds=seconds_of(resnet_cost),
)


def vgg(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A VGG network, its optimiser, images and their classes; without dropout, so that a step can be checked."""
    architecture = VGGS[network]
    model = architecture.network(dropout=0.0).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return model, optimizer, *images(device, batch, architecture.pixels, architecture.classes)


def evaluated_vgg(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A VGG network in evaluation mode, and images."""
    model, _, x, _ = vgg(device, network, batch)
    return model.eval(), x


def vgg_cost(network: str, batch: int) -> Cost:
    """The cost of an inference step: convolutions and linear layers."""
    return cost_of(VGGS[network].multiply_adds(), batch, training=False)


def vgg_training_cost(network: str, batch: int) -> Cost:
    """The cost of a training step: convolutions and linear layers."""
    return cost_of(VGGS[network].multiply_adds(), batch, training=True)


VGG_AXES = {
    "network": network_axis("vgg11"),
    "batch": Axis(default=[4], on={"cuda": Axis(default=[64], full=[1])}),
}
# As in torchduet.suites.convnet: rounding turns ReLUs on or off near zero, and changes which of four is greatest;
# measured are 0.097 in bf16, and in fp32 9e-4, of images of 224×224 pixels.
VGG_TOLERANCE = {"bf16": 0.3, "tf32": 0.15, "fp32": 5e-3}

suite.compare(
    "train_vgg",
    {"step": classify},
    about="Training step of VGG-11 without dropout: cross-entropy, SGD",
    inputs=vgg,
    axes=VGG_AXES,
    modes=EAGER_FIRST,
    precisions=TRAINED,
    knobs=FORMATS,
    observe=whole_state,
    tolerance=VGG_TOLERANCE,
    cost=vgg_training_cost,
    call_seconds=seconds_of(vgg_training_cost),
    memory=True,
)

suite.compare(
    "infer_vgg",
    {"step": logits},
    about="Inference step of VGG-11: logits under no_grad",
    inputs=evaluated_vgg,
    axes=VGG_AXES,
    modes=EAGER_FIRST,
    precisions=Axis(quick=["fp32"], default=["bf16"], on={"cuda": ON_GPU_INFERENCE}),
    knobs=FORMATS,
    tolerance=OUTPUT_TOLERANCE,
    cost=vgg_cost,
    call_seconds=seconds_of(vgg_cost),
)
