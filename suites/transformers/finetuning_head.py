"""Fine-tuning of the head of a classifier alone, and what a frozen encoder saves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.mlp import Autocast, Scaler
from torchduet.suites.transformers import encoder_batches as batches
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.encoder_models import SHAPES, classifier
from torchduet.suites.transformers.encoders import EAGER, FP32_FIRST
from torchduet.suites.transformers.finetuning import (
    AXES,
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
HEAD_TOLERANCE = {"bf16": 0.3, "tf32": 0.15, "fp16": 0.15}

WHOLE, OF_WHOLE, OF_HEAD, FROZEN, OF_FROZEN = range(5)  # indices of models and optimisers that head_inputs returns


def head_of(model: Any) -> nn.Module:
    """The two layers that follow the encoder."""
    return nn.ModuleDict({"pre_classifier": model.pre_classifier, "classifier": model.classifier})


def head_inputs(device: torch.device, model: str, batch: int, max_length: int) -> tuple[Any, ...]:
    """A classifier, the optimisers of all its parameters and of its head; another and its optimiser; a batch.

    Both classifiers have the same values. The encoder of the other is frozen. The batch is padded to its longest
    sentence.
    """
    whole = classifier(model).to(device)
    frozen: Any = copy.deepcopy(whole)
    frozen.distilbert.requires_grad_(False)
    sequences, labels = sentences(model, batch, max_length)
    longest = labelled(device, sequences, labels, max(map(len, sequences)))
    return whole, optimizer_of(whole), optimizer_of(head_of(whole)), frozen, optimizer_of(frozen), longest


def train_head(model: int, optimizer: int) -> Callable[..., tuple[Tensor, nn.Module]]:
    """A step of the model at one index among the inputs with the optimiser at another; it returns the model, too."""

    def one_step(*inputs: Any, autocast: Autocast, scaler: Scaler = None) -> tuple[Tensor, nn.Module]:
        return step(inputs[model], inputs[optimizer], inputs[-1], autocast, scaler), inputs[model]

    return one_step


def head_state(inputs: Sequence[Any], result: tuple[Tensor, Any]) -> dict[str, Any]:
    """The loss, and the gradients and new parameters of the head; implementations differ in those of the encoder."""
    del inputs
    loss, model = result
    return {"loss": loss, **trained_values(head_of(model))}


def head_cost(model: str, batch: int, max_length: int) -> Cost:
    """A forward pass, and the backward pass of the head, whose first layer needs no gradient of its input."""
    shape, lengths = SHAPES[model], batches.lengths_of(batch, max_length)
    backward = 2 * shape.head_flops(batch) - 2.0 * batch * shape.width**2
    flops = shape.forward_flops(lengths) + shape.head_flops(batch) + backward
    return Cost(flops=flops, samples=sum(lengths), unit="tokens")


suite.compare(
    "fine_tune_head",
    {
        "frozen": train_head(FROZEN, OF_FROZEN),
        "only_in_optimizer": Implementation(train_head(WHOLE, OF_HEAD), modes=EAGER),
        "all": Implementation(train_head(WHOLE, OF_WHOLE), modes=EAGER),
    },
    about="Training the head of DistilBERT (small: 2 layers): encoder frozen; its gradients unused; all layers trained",
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
