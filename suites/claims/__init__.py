"""What tutorials and users claim about PyTorch, each claim with the comparisons that decide it."""

from __future__ import annotations

from torchduet.suites.claim import Variant
from torchduet.suites.claims import (
    attention,
    compiling,
    decoders,
    distributed,
    encoders,
    generative,
    precision,
    recurrent,
    speech,
    tokenizers,
    tutorials,
    vision,
)
from torchduet.suites.workload import cores

_THEMES = (
    tutorials,
    attention,
    encoders,
    decoders,
    tokenizers,
    vision,
    recurrent,
    generative,
    speech,
    distributed,
    compiling,
    precision,
)  # as they are shown
CLAIMS = tuple(claim for theme in _THEMES for claim in theme.CLAIMS)


def deciding(variant: Variant) -> tuple[str, ...]:
    """The keys of the claims that a case helps to decide; empty if it decides none."""
    available = cores()
    return tuple(
        claim.key for claim in CLAIMS if any(comparison.side(variant, available) for comparison in claim.comparisons)
    )
