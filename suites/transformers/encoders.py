"""Encoders of text: inference over batch and length, and what padding costs."""

from __future__ import annotations

from torchduet.suites.transformers.common import part

suite = part()
