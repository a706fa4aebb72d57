"""Claims about decoders of text: prefill, decode and generation."""

from __future__ import annotations

from torchduet.suites.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
