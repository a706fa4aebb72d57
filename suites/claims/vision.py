"""Claims about networks for images."""

from __future__ import annotations

from torchduet.suites.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
