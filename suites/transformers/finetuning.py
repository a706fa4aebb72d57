"""Fine-tuning of an encoder for classification: whole steps of DistilBERT, a small one by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from torchduet.suites.devices import is_host
from torchduet.suites.mlp import Autocast, Scaler
from torchduet.suites.steps import CPU_FLOPS, backward_and_step
from torchduet.suites.transformers import encoder_batches as batches
from torchduet.suites.transformers.common import part, with_attention
from torchduet.suites.transformers.encoder_models import LABELS, SHAPES, classifier
from torchduet.suites.transformers.encoders import EAGER, FP32_FIRST
from torchduet.suites.workload import Axis, Cost, Implementation

suite = part()

LEARNING_RATE, WEIGHT_DECAY = 5e-5, 0.01  # widely used for BERT: the first is the default of transformers' Trainer

AXES = {
    "model": Axis(default=["small"], full=["distilbert"], on={"cuda": Axis(default=["distilbert"], full=["small"])}),
    "batch": Axis(default=[8], full=[32], on={"cuda": Axis(default=[32])}),
    "max_length": Axis(default=[128], full=[512], on={"cuda": Axis(default=[128], full=[512])}),
}

# Of gradients: in bf16, measured are up to 0.04, of the position embeddings and of the weight before the head's ReLU,
# which rounding turns on or off near zero, as in torchduet.suites.mlp. TF32 and fp16 round to the same 11 bits.
STEP_TOLERANCE = {"bf16": 0.15, "tf32": 0.05, "fp16": 0.05}

Keywords = Mapping[str, Tensor]
FUSED, BY_HAND, OPTIMIZER, LONGEST, MAX_LENGTH = range(5)  # indices of what step_inputs returns


def optimizer_of(model: nn.Module) -> AdamW:
    """AdamW of the parameters that are trained; as in transformers' Trainer, biases and norms do not decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [parameter for parameter in trained if parameter.ndim == 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=LEARNING_RATE)


def labelled(device: torch.device, sequences: Sequence[Tensor], labels: Tensor, length: int) -> dict[str, Tensor]:
    """The keyword arguments of the model for sequences padded to a length, with their labels (sequences,)."""
    batch = batches.pad(sequences, length).to(device)
    return {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": labels.to(device)}


def sentences(model: str, batch: int, max_length: int) -> tuple[list[Tensor], Tensor]:
    """Random sentences of different lengths, and their labels."""
    sequences = batches.tokens_of(batches.lengths_of(batch, max_length), SHAPES[model].vocabulary)
    return sequences, torch.randint(LABELS, (batch,))


def step(model: nn.Module, optimizer: Optimizer, batch: Keywords, autocast: Autocast, scaler: Scaler) -> Tensor:
    """One step on a collated batch: the gradients of all parameters are set to None first."""
    model.zero_grad()
    with autocast():
        loss: Tensor = model(**batch).loss
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def step_inputs(device: torch.device, model: str, batch: int, max_length: int, dropout: float = 0.0) -> tuple[Any, ...]:
    """A classifier with fused attention, the same with attention by hand, their optimiser, and two batches.

    The batches hold the same sentences, padded to the longest and to ``max_length``.
    """
    fused = classifier(model, "sdpa", dropout).to(device)
    sequences, labels = sentences(model, batch, max_length)
    longest = labelled(device, sequences, labels, max(map(len, sequences)))
    return (
        fused,
        with_attention(fused, "eager"),
        optimizer_of(fused),
        longest,
        labelled(device, sequences, labels, max_length),
    )


def train(model: int, batch: int) -> Callable[..., Tensor]:
    """A step of the model at one index among the inputs, on the batch at another."""

    def one_step(*inputs: Any, autocast: Autocast, scaler: Scaler = None) -> Tensor:
        return step(inputs[model], inputs[OPTIMIZER], inputs[batch], autocast, scaler)

    return one_step


def step_state(inputs: Sequence[Any], loss: Tensor) -> dict[str, Any]:
    """The values by which a step is checked: the loss, the gradients and the new parameters."""
    return {"loss": loss, **trained_values(inputs[0])}


def trained_values(module: nn.Module) -> dict[str, Tensor]:
    """Gradients and values of parameters by name: each weight of a layer alone, all biases and norms as one vector.

    The gradient of the keys' bias is zero but for rounding, as it adds the same to all scores of a query: alone it
    would be compared with noise.
    """
    parameters = dict(module.named_parameters())
    values: dict[str, Tensor] = {}
    small: list[Tensor] = [parameter for parameter in parameters.values() if parameter.ndim == 1]
    for name, parameter in parameters.items():
        if parameter.ndim > 1:
            assert parameter.grad is not None
            values |= {f"gradient of {name}": parameter.grad, name: parameter}
    values["gradients of biases and norms"] = torch.cat([parameter.grad for parameter in small])  # type: ignore[misc]
    values["biases and norms"] = torch.cat(small)
    return values


def step_cost(model: str, batch: int, max_length: int) -> Cost:
    """Three forward passes, as the backward pass has the operations of two (Kaplan et al. 2020, §2.1)."""
    shape, lengths = SHAPES[model], batches.lengths_of(batch, max_length)
    return Cost(flops=3 * (shape.forward_flops(lengths) + shape.head_flops(batch)), samples=sum(lengths), unit="tokens")


def step_seconds(model: str, batch: int, max_length: int, device: str) -> float:
    """Roughly the time of a step with all sentences padded to ``max_length``, on two cores."""
    return 3 * SHAPES[model].forward_flops([max_length] * batch) / CPU_FLOPS if is_host(device) else 0.0


suite.compare(
    "fine_tune",
    {
        "sdpa": train(FUSED, LONGEST),
        "eager_attention": Implementation(train(BY_HAND, LONGEST), modes=EAGER),
        "padded_to_max_length": Implementation(train(FUSED, MAX_LENGTH), modes=EAGER),
    },
    about="Fine-tuning step of DistilBERT (small: 2 layers, width 256), AdamW, no dropout: 2 attentions, 2 paddings",
    inputs=step_inputs,
    axes=AXES,
    modes=Axis(quick=["eager"], default=["compile-model"]),
    precisions=FP32_FIRST,
    observe=step_state,
    tolerance=STEP_TOLERANCE,
    cost=step_cost,
    call_seconds=step_seconds,
    memory=True,
)


suite.compare(
    "fine_tune_dropout",
    {"sdpa": train(FUSED, LONGEST), "eager_attention": train(BY_HAND, LONGEST)},
    about="The same with dropout 0.1, as configured: random, so that only shapes and finiteness are checked",
    inputs=lambda device, model, batch, max_length: step_inputs(device, model, batch, max_length, dropout=0.1),
    axes={**AXES, "batch": Axis(full=[8, 32], on={"cuda": Axis(full=[32])})},
    modes=Axis(quick=["eager"], full=["compile-model"]),
    precisions=FP32_FIRST,
    deterministic=False,
    observe=step_state,
    cost=step_cost,
    call_seconds=step_seconds,
)
