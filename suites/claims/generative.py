"""Claims about generative networks."""

from __future__ import annotations

from torchduet.suites.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
