"""Tokenizers: byte-pair encoding, fast and slow."""

from __future__ import annotations

from torchduet.suites.transformers.common import part

suite = part()
