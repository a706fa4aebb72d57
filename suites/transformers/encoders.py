"""Encoders of text: inference over batch and length, and what padding costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.devices import is_host
from torchduet.suites.steps import CPU_FLOPS
from torchduet.suites.transformers import encoder_batches as batches
from torchduet.suites.transformers.common import part, with_attention
from torchduet.suites.transformers.encoder_batches import Batch, Layout
from torchduet.suites.transformers.encoder_models import FIRST_TOKEN, SHAPES, encoder
from torchduet.suites.workload import Axis, Cost, Implementation

suite = part()

FP32_FIRST = Axis(
    quick=["fp32"],
    full=["tf32", "bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32"], full=["fp16", "bf16-pure"])},
)
EAGER = ("eager",)
ON_CUDA = Axis(quick=["distilbert"], default=["bert-base"], full=["small"])


def encode(model: nn.Module, batch: Batch) -> Tensor:
    """The last hidden state (sequences, length, width)."""
    with torch.inference_mode():
        output = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, position_ids=batch.position_ids)
    return output.last_hidden_state  # type: ignore[no-any-return]


def models_and_tokens(device: torch.device, model: str, batch: int, length: int) -> tuple[Any, ...]:
    """An encoder with attention by hand, the same with fused attention, and sequences of one length."""
    by_hand = encoder(model, "eager").to(device)
    tokens = torch.randint(FIRST_TOKEN, SHAPES[model].vocabulary, (batch, length), device=device)
    return by_hand, with_attention(by_hand, "sdpa"), Batch(tokens, torch.ones_like(tokens))


def encode_by(index: int) -> Callable[..., Tensor]:
    """A forward pass of the model at this index among the inputs, on the last of them, the batch."""
    return lambda *inputs: encode(inputs[index], inputs[-1])


def encode_cost(model: str, batch: int, length: int) -> Cost:
    """The cost of the linear layers and the attention."""
    return Cost(flops=SHAPES[model].forward_flops([length] * batch), samples=batch * length, unit="tokens")


suite.compare(
    "encode",
    {"eager_attention": Implementation(encode_by(0), modes=EAGER), "sdpa": encode_by(1)},
    about="Inference of an encoder (small DistilBERT, DistilBERT, BERT-base): hidden states, attention eager or SDPA",
    inputs=models_and_tokens,
    axes={
        "model": Axis(quick=["small"], full=["distilbert", "bert-base"], on={"cuda": ON_CUDA}),
        "batch": Axis(quick=[1], full=[8, 32], on={"cuda": Axis(quick=[32], default=[1], full=[256])}),
        "length": Axis(quick=[128], default=[512], full=[32], on={"cuda": Axis(quick=[128], default=[512])}),
    },
    modes=Axis(quick=["eager"], default=["compile-model"]),
    precisions=FP32_FIRST,
    cost=encode_cost,
    call_seconds=lambda model, batch, length, device: (
        (encode_cost(model, batch, length).flops or 0.0) / CPU_FLOPS if is_host(device) else 0.0
    ),
)


def model_and_layouts(device: torch.device, model: str, batch: int, max_length: int) -> tuple[Any, ...]:
    """An encoder, and the same sequences in five layouts: see ``LAYOUTS``."""
    sequences = batches.tokens_of(batches.lengths_of(batch, max_length), SHAPES[model].vocabulary)
    longest = max(map(len, sequences))
    layouts = (
        batches.padded(sequences, longest),
        batches.padded(sequences, batches.power_of_two(longest)),
        batches.padded(sequences, max_length),
        batches.bucketed(sequences, batches.buckets_of(sequences)),
        batches.packed(sequences),
    )
    return encoder(model).to(device), *(layout.to(device) for layout in layouts)


def encode_layout(index: int) -> Callable[..., tuple[list[Tensor], Tensor]]:
    """A forward pass for each batch of the layout at this index among the inputs.

    It returns the hidden states of each batch, and the indices of the tokens among them.
    """

    def forward(model: nn.Module, *layouts: Layout) -> tuple[list[Tensor], Tensor]:
        layout = layouts[index]
        return [encode(model, batch) for batch in layout.batches], layout.indices

    return forward


def of_tokens(inputs: Sequence[Any], result: tuple[list[Tensor], Tensor]) -> Tensor:
    """The hidden states (tokens, width) of the tokens, sequence by sequence, without those of padding."""
    del inputs
    states, indices = result
    return torch.cat([state.flatten(0, 1) for state in states])[indices]


LAYOUTS = ("longest", "power_of_two", "max_length", "bucketed", "packed")  # as model_and_layouts returns them
PADDING = {name: encode_layout(index) for index, name in enumerate(LAYOUTS)}


def padding_cost(model: str, batch: int, max_length: int) -> Cost:
    """The cost of the tokens, padding not counted."""
    lengths = batches.lengths_of(batch, max_length)
    return Cost(flops=SHAPES[model].forward_flops(lengths), samples=sum(lengths), unit="tokens")


suite.compare(
    "padding",
    PADDING,
    about="Inference for sentences of different lengths: padded three ways, in buckets of lengths, or packed in a row",
    inputs=model_and_layouts,
    axes={
        "model": Axis(default=["small"], full=["distilbert", "bert-base"], on={"cuda": ON_CUDA}),
        "batch": Axis(default=[16], full=[64], on={"cuda": Axis(default=[64])}),
        "max_length": Axis(default=[128], full=[512], on={"cuda": Axis(default=[512])}),
    },
    modes=EAGER,
    precisions=FP32_FIRST,
    observe=of_tokens,
    cost=padding_cost,
    call_seconds=lambda model, batch, max_length, device: (
        SHAPES[model].forward_flops([max_length] * batch) / CPU_FLOPS if is_host(device) else 0.0
    ),
)
