"""Caches of keys and values, filled with a text, and steps that leave them as they were.

The engine does not put back what objects of an installed package hold, so each step here does so itself.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchduet.suites.workload import Unavailable


@dataclass(frozen=True)
class UnavailableCache:
    """Stands for a cache that this version of transformers does not have in the form that a step needs."""

    reason: str


def keyword_of(model: Any) -> str:
    """The name of the forward pass' parameter for the cache: ``cache`` in recent versions of transformers."""
    return "cache" if "cache" in inspect.signature(type(model).forward).parameters else "past_key_values"


def dynamic_cache(model: Any) -> Any:
    """An empty cache that grows by concatenation."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def forward(model: Any, tokens: Tensor, cache: Any, keyword: str) -> Tensor:
    """Add tokens (batch, length) to a cache; returns the logits of the last one (batch, 1, vocabulary)."""
    with torch.no_grad():
        return model(tokens, use_cache=True, logits_to_keep=1, **{keyword: cache}).logits  # type: ignore[no-any-return]


def filled_dynamic_cache(model: Any, tokens: Tensor, keyword: str) -> Any:
    """A dynamic cache that holds the keys and values of the tokens (batch, length)."""
    cache = dynamic_cache(model)
    forward(model, tokens, cache, keyword)
    return cache


def filled_static_cache(model: Any, tokens: Tensor, room: int, keyword: str) -> Any:
    """A cache of fixed memory that holds the keys and values of the tokens (batch, length).

    Where the static cache of this version of transformers does not keep its length in a tensor, what stands for it.

    Args:
        room: further tokens for which it has memory.
    """
    from transformers import StaticCache

    cache: Any = StaticCache(config=model.config, max_cache_len=tokens.shape[1] + room)
    if not all(hasattr(layer, "cumulative_length") for layer in cache.layers):
        return UnavailableCache("steps with a static cache need a newer transformers: pip install -U transformers")
    forward(model, tokens, cache, keyword)
    return cache


def cached_tensors(dynamic: Any) -> list[tuple[Tensor, Tensor]]:
    """The keys and values of each layer of a dynamic cache: tensors that no step changes."""
    return [(layer.keys, layer.values) for layer in dynamic.layers]


def restore(dynamic: Any, tensors: list[tuple[Tensor, Tensor]]) -> None:
    """Let a dynamic cache hold these tensors again.

    A cache that is cropped instead would hold views of longer tensors, which the next step would have to gather.
    """
    for layer, (keys, values) in zip(dynamic.layers, tensors, strict=True):
        layer.keys, layer.values = keys, values


def step(model: Any, dynamic: Any, token: Tensor, keyword: str) -> Tensor:
    """One new token (batch, 1) against a dynamic cache, which then holds what it held; returns its logits."""
    tensors = cached_tensors(dynamic)
    logits = forward(model, token, dynamic, keyword)
    restore(dynamic, tensors)
    return logits


def static_step(model: Any, static: Any, token: Tensor, keyword: str) -> Tensor:
    """One new token (batch, 1) against a static cache, whose next step writes the same position; returns its logits.

    The cache counts its tokens in a tensor on the device, one for each layer. All are set back in one operation, where
    the cache's own ``crop`` launches one for each. What the step wrote stays beyond that length, unseen.

    Raises:
        Unavailable: there is no such cache.
    """
    if isinstance(static, UnavailableCache):
        raise Unavailable(static.reason)
    logits = forward(model, token, static, keyword)
    torch._foreach_sub_([layer.cumulative_length for layer in static.layers], 1)
    return logits


def copied_cache(dynamic: Any) -> Any:
    """A dynamic cache of the same keys and values in other memory."""
    other = copy.copy(dynamic)
    other.layers = [copy.copy(layer) for layer in dynamic.layers]
    for layer in other.layers:
        layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
    return other
