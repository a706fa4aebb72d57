"""ViT: a transformer that classifies images, from the package transformers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.mlp import Autocast
from torchduet.suites.vision.common import (
    EAGER_FIRST,
    FORMATS_LATER,
    INFERRED,
    ON_GPU,
    cost_of,
    images,
    part,
    seconds_of,
    whole_state,
)
from torchduet.suites.vision.transformer import CLASSIFIERS
from torchduet.suites.workload import Axis, Cost

suite = part()


def trained(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A classifier in training mode (its dropout is 0), its optimiser, images and their classes."""
    architecture = CLASSIFIERS[network]
    model = architecture.classifier().to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    return model, optimizer, *images(device, batch, architecture.pixels, architecture.classes)


def evaluated(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A classifier in evaluation mode, and images."""
    model, _, x, _ = trained(device, network, batch)
    return model.eval(), x


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast) -> Tensor:
    optimizer.zero_grad()
    with autocast():
        loss = F.cross_entropy(model(pixel_values=x).logits, y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def infer(model: nn.Module, x: Tensor, autocast: Autocast) -> Tensor:
    with torch.no_grad(), autocast():
        return model(pixel_values=x).logits  # type: ignore[no-any-return]


def training_cost(network: str, batch: int) -> Cost:
    """The cost of a training step."""
    return cost_of(CLASSIFIERS[network].multiply_adds(), batch, training=True)


def inference_cost(network: str, batch: int) -> Cost:
    """The cost of an inference step."""
    return cost_of(CLASSIFIERS[network].multiply_adds(), batch, training=False)


AXES = {
    "network": Axis(
        default=["vit-narrow"],
        full=["vit-tiny"],
        on={"cuda": Axis(default=["vit-base"], full=["vit-tiny"])},
    ),
    "batch": Axis(default=[8], on={"cuda": Axis(default=[64], full=[1])}),
}

suite.compare(
    "train_vit",
    {"step": train},
    about="Training step of a vision transformer: cross-entropy, AdamW",
    inputs=trained,
    axes=AXES,
    modes=EAGER_FIRST,
    precisions=Axis(quick=["fp32"], default=["bf16"], on={"cuda": ON_GPU}),
    observe=whole_state,
    cost=training_cost,
    call_seconds=seconds_of(training_cost),
)

suite.compare(
    "infer_vit",
    {"step": infer},
    about="Inference step of a vision transformer: logits under no_grad",
    inputs=evaluated,
    axes=AXES,
    modes=Axis(quick=["eager"], default=["compile-model"]),
    precisions=INFERRED,
    knobs=FORMATS_LATER,
    cost=inference_cost,
    call_seconds=seconds_of(inference_cost),
)
