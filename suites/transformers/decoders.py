"""Decoders of text: prefill and decode apart."""

from __future__ import annotations

from torchduet.suites.transformers.common import part

suite = part()
