"""Transformers: encoders, fine-tuning, prefill, decode, generation and tokenizers."""

from __future__ import annotations

from torchduet.suites.transformers import decoders, encoders, finetuning, generation, tokenizers
from torchduet.suites.transformers.common import part

suite = part()
for _theme in (encoders, finetuning, decoders, generation, tokenizers):  # the order in which they run
    suite.workloads.update(_theme.suite.workloads)
