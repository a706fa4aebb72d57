"""Prints the one-line error of a command that cannot use its input or output, and gives its exit code."""

from __future__ import annotations

from torchduet.bench.files.streams import note
from torchduet.reports.text.escaping import visible

UNUSABLE = 2


def say(line: str) -> None:
    """Print a line on standard error, its control characters as escapes."""
    note(visible(line))


def refuse(error: Exception | str) -> int:
    """Print in one line what cannot be used; returns the exit code."""
    say(f"error: {' '.join(str(error).split())}")
    return UNUSABLE
