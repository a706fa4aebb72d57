"""What the parts of the suite share."""

from __future__ import annotations

from torchduet.suites.suite import Suite


def part() -> Suite:
    """A part of the suite ``transformers``: its workloads belong to that suite."""
    return Suite("transformers", "Transformers: encoders, fine-tuning, prefill, decode, generation and tokenizers")
