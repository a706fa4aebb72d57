"""Claims about encoders of text and their fine-tuning."""

from __future__ import annotations

from torchduet.suites.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
