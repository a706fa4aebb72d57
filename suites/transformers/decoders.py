"""Decoders of text: prefill and decode apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.transformers.caches import (
    dynamic_cache,
    filled_dynamic_cache,
    filled_static_cache,
    forward,
    keyword_of,
    static_step,
    step,
)
from torchduet.suites.transformers.common import part
from torchduet.suites.transformers.decoder_models import DECODERS, with_attention_if_any
from torchduet.suites.workload import Axis, Cost, Implementation

suite = part()

EAGER = ("eager",)
SHORT_ROOM = 32  # tokens for which a static cache has memory beside those that it holds
FLOPS = 2e10  # per second, roughly, of two cores: a step is bound by memory
MODELS = Axis(
    quick=["small-gpt2"],
    default=["small-llama"],
    full=["gpt2", "llama-1b"],
    on={"cuda": Axis(quick=["gpt2"], default=["llama-1b"])},
)
BATCHES = Axis(quick=[1], full=[4], on={"cuda": Axis(quick=[1], default=[32])})
# Of weights and cache: a decode step reads all of them, so that half the bytes take about half the time.
DTYPES = Axis(quick=["float32"], full=["bfloat16"], on={"cuda": Axis(quick=["bfloat16"], full=["float32"])})
LENGTHS = Axis(quick=[128], full=[896], on={"cuda": Axis(quick=[896], full=[128])})


def texts(model: str, batch: int, length: int, device: torch.device) -> Tensor:
    """Random tokens (batch, length)."""
    return torch.randint(DECODERS[model].vocabulary, (batch, length), device=device)


# Prefill


def prefill_inputs(device: torch.device, model: str, length: int, batch: int, dtype: str) -> tuple[Any, ...]:
    """One model in three implementations of attention, of the same parameters, and the tokens of the prompts."""
    sdpa = DECODERS[model].make(device, dtype)
    others = [with_attention_if_any(sdpa, attention) for attention in ("eager", "flex_attention")]
    return sdpa, *others, texts(model, batch, length, device), keyword_of(sdpa)


def prefill(module: Any, sdpa: Any, tokens: Tensor, keyword: str) -> tuple[Tensor, Any]:
    """The logits of the last tokens (batch, 1, vocabulary), and a new cache of all tokens."""
    cache = dynamic_cache(sdpa)
    return forward(module, tokens, cache, keyword), cache


def prefill_sdpa(sdpa: Any, _eager: Any, _flex: Any, tokens: Tensor, keyword: str) -> tuple[Tensor, Any]:
    return prefill(sdpa, sdpa, tokens, keyword)


def prefill_eager(sdpa: Any, eager: Any, _flex: Any, tokens: Tensor, keyword: str) -> tuple[Tensor, Any]:
    return prefill(eager, sdpa, tokens, keyword)


def prefill_flex(sdpa: Any, _eager: Any, flex: Any, tokens: Tensor, keyword: str) -> tuple[Tensor, Any]:
    return prefill(flex, sdpa, tokens, keyword)


def logits_and_last_layer(inputs: Sequence[Any], result: tuple[Tensor, Any]) -> tuple[Tensor, ...]:
    """What a prefill makes: logits, and the cache, whose last layer depends on all the others."""
    del inputs
    logits, cache = result
    return logits, cache.layers[-1].keys, cache.layers[-1].values


def prefill_cost(model: str, length: int, batch: int, dtype: str) -> Cost:
    """Each token sees itself and those before it; only the last of a prompt needs logits."""
    pairs = batch * length * (length + 1) / 2
    return DECODERS[model].cost(tokens=batch * length, pairs=pairs, outputs=batch, dtype=dtype)


def prefill_seconds(model: str, length: int, batch: int, dtype: str, device: str) -> float:
    flops = prefill_cost(model, length, batch, dtype).flops or 0.0
    return flops / FLOPS if is_host(device) else 0.0


suite.compare(
    "prefill",
    {
        "sdpa": prefill_sdpa,
        "eager_attention": Implementation(prefill_eager, modes=EAGER),
        "flex_attention": Implementation(prefill_flex, modes=("compile-model",)),  # fused only if it is compiled
    },
    about="A prompt computed at once into a new cache, up to its first new token's logits",
    inputs=prefill_inputs,
    axes={
        "model": Axis(
            default=["small-gpt2", "small-llama"],
            full=["gpt2", "llama-1b"],
            on={"cuda": Axis(quick=["gpt2"], default=["llama-1b"])},
        ),
        "length": LENGTHS,
        "batch": BATCHES,
        "dtype": Axis(quick=["float32"], on={"cuda": DTYPES.of("cuda")}),
    },
    modes=Axis(quick=["eager"], full=["compile-model"]),
    observe=logits_and_last_layer,
    cost=prefill_cost,
    call_seconds=prefill_seconds,
    memory=True,
)

# Decode


def decode_inputs(
    device: torch.device, model: str, context: int, batch: int, dtype: str, room: int = SHORT_ROOM
) -> tuple[Any, ...]:
    """A model, a dynamic and a static cache that hold ``context`` tokens, and the next token of each text.

    Args:
        room: further tokens for which the static cache has memory.
    """
    module = DECODERS[model].make(device, dtype)
    keyword = keyword_of(module)
    tokens = texts(model, batch, context + 1, device)
    dynamic = filled_dynamic_cache(module, tokens[:, :-1], keyword)
    static = filled_static_cache(module, tokens[:, :-1], room, keyword)
    return module, dynamic, static, tokens[:, -1:].clone(), keyword


def decode_dynamic(module: Any, dynamic: Any, static: Any, token: Tensor, keyword: str) -> Tensor:
    del static
    return step(module, dynamic, token, keyword)


def decode_static(module: Any, dynamic: Any, static: Any, token: Tensor, keyword: str) -> Tensor:
    del dynamic
    return static_step(module, static, token, keyword)


def decode_cost(model: str, context: int, batch: int, dtype: str) -> Cost:
    """Each new token sees the tokens of the cache and itself."""
    pairs = batch * (context + 1)
    return DECODERS[model].cost(tokens=batch, pairs=pairs, outputs=batch, dtype=dtype, cached=batch * context)


def decode_seconds(model: str, context: int, batch: int, dtype: str, device: str) -> float:
    cost = decode_cost(model, context, batch, dtype)
    return (cost.flops or 0.0) / FLOPS if is_host(device) else 0.0


suite.compare(
    "decode",
    {
        "dynamic": Implementation(decode_dynamic, modes=("eager", "compile")),
        "static": decode_static,
    },
    about="One new token of each text against a cache, which then holds what it held",
    inputs=decode_inputs,
    axes={"model": MODELS, "context": LENGTHS, "batch": BATCHES, "dtype": DTYPES},
    modes=Axis(
        quick=["eager"],
        default=["compile-model"],
        full=["compile"],
        on={"cuda": Axis(quick=["eager"], default=["compile-model", "reduce-overhead"], full=["compile"])},
    ),
    scratch=("static",),  # its next step overwrites what the last one wrote beyond its length
    cost=decode_cost,
    call_seconds=decode_seconds,
)


def room_inputs(device: torch.device, model: str, context: int, room: int, batch: int, dtype: str) -> tuple[Any, ...]:
    """As :func:`decode_inputs`, with memory in the static cache for ``room`` further tokens."""
    return decode_inputs(device, model, context, batch, dtype, room)


def room_cost(model: str, context: int, room: int, batch: int, dtype: str) -> Cost:
    """No step needs the room."""
    del room
    return decode_cost(model, context, batch, dtype)


def room_seconds(model: str, context: int, room: int, batch: int, dtype: str, device: str) -> float:
    return decode_seconds(model, context + room, batch, dtype, device)


suite.compare(
    "decode_room",
    {"dynamic": Implementation(decode_dynamic, modes=EAGER), "static": decode_static},
    about="A decode step where the static cache has memory for a whole context window, which its attention reads",
    inputs=room_inputs,
    axes={
        "model": Axis(default=["small-llama"], full=["llama-1b"], on={"cuda": Axis(default=["llama-1b"])}),
        "context": Axis(default=[128], on={"cuda": Axis(default=[896])}),
        "room": Axis(default=[1920], on={"cuda": Axis(default=[7296])}),
        "batch": BATCHES,
        "dtype": DTYPES,
    },
    modes=Axis(default=["eager"], full=["compile-model"]),
    scratch=("static",),
    cost=room_cost,
    call_seconds=room_seconds,
)


def attention_inputs(device: torch.device, model: str, context: int, batch: int, dtype: str) -> tuple[Any, ...]:
    """One model in three implementations of attention, of the same parameters; a dynamic cache; the next tokens."""
    sdpa = DECODERS[model].make(device, dtype)
    keyword = keyword_of(sdpa)
    tokens = texts(model, batch, context + 1, device)
    dynamic = filled_dynamic_cache(sdpa, tokens[:, :-1], keyword)
    others = [with_attention_if_any(sdpa, attention) for attention in ("eager", "flex_attention")]
    return sdpa, *others, dynamic, tokens[:, -1:].clone(), keyword


def attention_step(index: int) -> Callable[..., Tensor]:
    """A decode step of the model at this index among the inputs."""
    return lambda *inputs: step(inputs[index], *inputs[3:])


suite.compare(
    "decode_attention",
    {
        "sdpa": attention_step(0),
        "eager_attention": Implementation(attention_step(1), modes=EAGER),
        "flex_attention": Implementation(attention_step(2), modes=("compile-model",)),
    },
    about="A decode step with a dynamic cache, by each implementation of attention",
    inputs=attention_inputs,
    axes={
        "model": Axis(default=["small-llama"], full=["llama-1b"], on={"cuda": Axis(default=["llama-1b"])}),
        "context": Axis(default=[512], full=[1900], on={"cuda": Axis(default=[896], full=[7900])}),
        "batch": Axis(default=[8], on={"cuda": Axis(default=[1], full=[32])}),
        "dtype": Axis(default=["float32"], on={"cuda": Axis(default=["bfloat16"])}),
    },
    modes=Axis(default=["eager"], full=["compile-model"]),
    cost=decode_cost,
    call_seconds=decode_seconds,
)
