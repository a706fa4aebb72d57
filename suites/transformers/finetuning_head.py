"""Fine-tuning of the head of a classifier alone, and what a frozen encoder saves."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchduet.suites.mlp import Autocast, Scaler
from torchduet.suites.transformers import encoder_batches as batches
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.encoder_models import SHAPES, classifier
from torchduet.suites.transformers.encoders import EAGER, FP32_FIRST
from torchduet.suites.transformers.finetuning import (
    AXES,
    Keywords,
    labelled,
    optimizer_of,
    sentences,
    step,
    step_seconds,
    trained_values,
)
from torchduet.suites.workload import Axis, Cost, Implementation

suite = part()

# Adam's first step is the learning rate times the sign of the gradient, and the head's biases begin at zero: one sign
# of 258 that rounding turns is an error of 0.12. Measured are 0.15 in bf16.
HEAD_TOLERANCE = {"bf16": 0.3, "tf32": 0.15}


def head_of(model: Any) -> nn.Module:
    """The two layers that follow the encoder."""
    return nn.ModuleDict({"pre_classifier": model.pre_classifier, "classifier": model.classifier})


def head_inputs(device: torch.device, model: str, batch: int, maximum: int) -> tuple[Any, ...]:
    """A classifier, optimisers of all its parameters and of its head, one whose encoder is frozen, and its optimiser.

    Both have the same values. Then a batch, padded to the longest.
    """
    whole = classifier(model).to(device)
    frozen: Any = copy.deepcopy(whole)
    frozen.distilbert.requires_grad_(False)
    sequences, labels = sentences(model, batch, maximum)
    longest = labelled(device, sequences, labels, max(map(len, sequences)))
    return whole, optimizer_of(whole), optimizer_of(head_of(whole)), frozen, optimizer_of(frozen), longest


def head_frozen(
    _: nn.Module,
    _all: Optimizer,
    _head: Optimizer,
    model: nn.Module,
    optimizer: Optimizer,
    batch: Keywords,
    autocast: Autocast,
    scaler: Scaler = None,
) -> tuple[Tensor, nn.Module]:
    return step(model, optimizer, batch, autocast, scaler), model


def head_optimizer(
    model: nn.Module,
    _all: Optimizer,
    optimizer: Optimizer,
    _: nn.Module,
    _frozen: Optimizer,
    batch: Keywords,
    autocast: Autocast,
    scaler: Scaler = None,
) -> tuple[Tensor, nn.Module]:
    return step(model, optimizer, batch, autocast, scaler), model


def head_and_encoder(
    model: nn.Module,
    optimizer: Optimizer,
    _head: Optimizer,
    _: nn.Module,
    _frozen: Optimizer,
    batch: Keywords,
    autocast: Autocast,
    scaler: Scaler = None,
) -> tuple[Tensor, nn.Module]:
    return step(model, optimizer, batch, autocast, scaler), model


def head_state(inputs: Sequence[Any], result: tuple[Tensor, Any]) -> dict[str, Any]:
    """The loss, and the gradients and new parameters of the head; the encoder's differ from way to way."""
    del inputs
    loss, model = result
    return {"loss": loss, **trained_values(head_of(model))}


def head_cost(model: str, batch: int, maximum: int) -> Cost:
    """A forward pass, and the backward pass of the head, whose first layer needs no gradient of its input."""
    shape, lengths = SHAPES[model], batches.lengths_of(batch, maximum)
    backward = 2 * shape.head_flops(batch) - 2.0 * batch * shape.width**2
    return Cost(
        flops=shape.forward_flops(lengths) + shape.head_flops(batch) + backward,
        samples=sum(lengths),
    )


suite.compare(
    "fine_tune_head",
    {
        "frozen": head_frozen,
        "only_in_optimizer": Implementation(head_optimizer, modes=EAGER),
        "all": Implementation(head_and_encoder, modes=EAGER),
    },
    about="Training the head of DistilBERT: encoder frozen; its gradients computed but unused; encoder trained, too",
    inputs=head_inputs,
    axes=AXES,
    modes=Axis(quick=["eager"], full=["compile-model"]),
    precisions=FP32_FIRST,
    observe=head_state,
    tolerance=HEAD_TOLERANCE,
    cost=head_cost,
    call_seconds=step_seconds,
    memory=True,
)
