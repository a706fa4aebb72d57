"""What the parts of the suite share."""

from __future__ import annotations

import copy
from typing import Any

from torchduet.suites.suite import Suite


def part() -> Suite:
    """A part of the suite ``transformers``: its workloads belong to that suite."""
    return Suite("transformers", "Transformers: encoders, fine-tuning, prefill, decode, generation and tokenizers")


def with_attention(model: Any, attention: str) -> Any:
    """A second model with the same parameters and buffers, the very same tensors, and another attention."""
    tensors: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    second = copy.deepcopy(model, tensors)
    second.set_attn_implementation(attention)
    return second
