"""Transformers: encoders, fine-tuning, prefill, decode, generation and tokenizers."""

from __future__ import annotations

from torchduet.suites.transformers import (
    collating,
    decoders,
    encoders,
    finetuning,
    finetuning_head,
    generation,
    tokenizers,
)
from torchduet.suites.transformers.common import part

suite = part()
_THEMES = (encoders, collating, finetuning, finetuning_head, decoders, generation, tokenizers)  # as they run
for _theme in _THEMES:
    suite.workloads.update(_theme.suite.workloads)
