"""Prints the one-line error of a command that cannot use its input or output, and gives its exit code."""

from __future__ import annotations

import sys

from torchduet.reports.text.escaping import visible

UNUSABLE = 2


def refuse(error: Exception | str) -> int:
    """Print in one line what cannot be used; returns the exit code."""
    print(f"error: {visible(' '.join(str(error).split()))}", file=sys.stderr)
    return UNUSABLE
