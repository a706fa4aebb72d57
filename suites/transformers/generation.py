"""Generation end to end."""

from __future__ import annotations

from torchduet.suites.transformers.common import part

suite = part()
