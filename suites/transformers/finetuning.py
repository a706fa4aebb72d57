"""Fine-tuning of an encoder for classification."""

from __future__ import annotations

from torchduet.suites.transformers.common import part

suite = part()
