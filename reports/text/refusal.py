"""How a command says that it cannot use what it was given: one line, and an exit code of its own."""

from __future__ import annotations

import sys

from torchduet.reports.text.escaping import visible

UNUSABLE = 2


def refuse(error: Exception | str) -> int:
    """Say in one line what cannot be used; returns the exit code."""
    print(f"error: {visible(' '.join(str(error).split()))}", file=sys.stderr)
    return UNUSABLE
