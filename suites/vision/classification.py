"""Networks that classify images: ResNet-18 and a vision transformer side by side, and VGG-11."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from torchduet.suites import model
from torchduet.suites.mlp import Autocast, classify
from torchduet.suites.steps import FORMATS, cost_of, seconds_of
from torchduet.suites.vision.common import EAGER_FIRST, INFERRED, INFERRED_ON_GPU, PURE_LAST, evaluated, images, part
from torchduet.suites.vision.resnet import RESNETS
from torchduet.suites.vision.transformer import VITS
from torchduet.suites.vision.vgg import VGGS
from torchduet.suites.workload import Axis, Cost

suite = part()


class Architecture(Protocol):
    """A classifier's sizes.

    Attributes:
        pixels: sides of the images.
        classes: number of classes.
    """

    @property
    def pixels(self) -> int: ...

    @property
    def classes(self) -> int: ...

    def network(self) -> nn.Module:
        """A new network: images (batch, 3, pixels, pixels) to scores (batch, classes)."""

    def multiply_adds(self) -> tuple[int, ...]:
        """Per image, layer by layer, beginning with the first one."""


NETWORKS: dict[str, Architecture] = {**RESNETS, **VITS, **VGGS}


def training_inputs(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A classifier in training mode, its optimiser, images and their classes.

    SGD with momentum trains all of them: residual networks (He et al. 2016, section 3.4), VGG (Simonyan & Zisserman
    2015, section 3.1), and vision transformers in fine-tuning (Dosovitskiy et al. 2021, section 4.1).
    """
    architecture = NETWORKS[network]
    classifier = architecture.network().to(device)
    normalised = any(isinstance(layer, nn.BatchNorm2d | nn.LayerNorm) for layer in classifier.modules())
    rate = 0.01 if normalised else 0.001  # VGG's new weights diverge with 0.01, within 40 steps
    optimizer = torch.optim.SGD(classifier.parameters(), lr=rate, momentum=0.9)
    return classifier, optimizer, *images(device, batch, architecture.pixels, architecture.classes)


def inference_inputs(device: torch.device, network: str, batch: int) -> tuple[nn.Module, Tensor]:
    """A classifier in evaluation mode, and images."""
    classifier, _, x, _ = training_inputs(device, network, batch)
    return evaluated(classifier, x), x


def logits(classifier: nn.Module, x: Tensor, autocast: Autocast) -> Tensor:
    """An inference step: scores of all classes (batch, classes)."""
    with torch.no_grad(), autocast():
        return classifier(x)  # type: ignore[no-any-return]


def training_cost(network: str, batch: int) -> Cost:
    """The cost of convolutions, linear layers and attention in a training step."""
    return cost_of(NETWORKS[network].multiply_adds(), batch, training=True)


def inference_cost(network: str, batch: int) -> Cost:
    """The cost of convolutions, linear layers and attention in an inference step."""
    return cost_of(NETWORKS[network].multiply_adds(), batch, training=False)


suite.compare(
    "train_classifier",
    {"step": classify},
    about="Training step of ResNet-18 and of a vision transformer: cross-entropy, SGD with momentum",
    inputs=training_inputs,
    axes={
        "network": Axis(
            default=["resnet18-narrow", "vit-narrow"],
            full=["resnet18", "vit-tiny"],
            on={"cuda": Axis(default=["resnet18", "vit-tiny"], full=["vit-base"])},
        ),
        "batch": Axis(default=[8], on={"cuda": Axis(default=[64])}),
    },
    modes=EAGER_FIRST,
    precisions=PURE_LAST,
    knobs=FORMATS,
    observe=model.state,
    cost=training_cost,
    call_seconds=seconds_of(training_cost),
)

suite.compare(
    "infer_classifier",
    {"step": logits},
    about="Inference step of ResNet-18 and of a vision transformer: logits under no_grad",
    inputs=inference_inputs,
    axes={
        "network": Axis(
            quick=["resnet18-narrow"],
            default=["vit-narrow"],
            full=["resnet18", "vit-tiny"],
            on={"cuda": Axis(quick=["resnet18"], default=["vit-tiny"], full=["vit-base"])},
        ),
        "batch": Axis(quick=[8], on={"cuda": Axis(quick=[128], full=[1])}),
    },
    modes=Axis(quick=["eager"], default=["compile-model"]),
    precisions=INFERRED,
    knobs=FORMATS,
    cost=inference_cost,
    call_seconds=seconds_of(inference_cost),
)

VGG_AXES = {
    "network": Axis(default=["vgg11-narrow"], full=["vgg11"], on={"cuda": Axis(default=["vgg11"])}),
    "batch": Axis(default=[4], on={"cuda": Axis(default=[64], full=[1])}),
}

suite.compare(
    "train_vgg",
    {"step": classify},
    about="Training step of VGG-11 without dropout: cross-entropy, SGD with momentum",
    inputs=training_inputs,
    axes=VGG_AXES,
    modes=EAGER_FIRST,
    precisions=PURE_LAST,
    knobs=FORMATS,
    observe=model.state,
    cost=training_cost,
    call_seconds=seconds_of(training_cost),
    memory=True,
)

suite.compare(
    "infer_vgg",
    {"step": logits},
    about="Inference step of VGG-11: logits under no_grad",
    inputs=inference_inputs,
    axes=VGG_AXES,
    modes=EAGER_FIRST,
    precisions=Axis(quick=["fp32"], default=["bf16"], full=["bf16-pure"], on={"cuda": INFERRED_ON_GPU}),
    knobs=FORMATS,
    cost=inference_cost,
    call_seconds=seconds_of(inference_cost),
)
