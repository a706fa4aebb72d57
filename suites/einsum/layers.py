"""Layers as einsum: convolution and batch normalisation."""

from __future__ import annotations

from torchduet.suites.einsum.common import part

suite = part()
