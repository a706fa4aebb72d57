"""Prints the one-line error of a command that cannot use its input or output, and gives its exit code."""

from __future__ import annotations

import contextlib
import sys

from torchduet.reports.text.escaping import visible

UNUSABLE = 2


def say(line: str) -> None:
    """Print a line on standard error, if there is one: ``print`` would take standard output in place of it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(visible(line), file=sys.stderr)


def refuse(error: Exception | str) -> int:
    """Print in one line what cannot be used; returns the exit code."""
    say(f"error: {' '.join(str(error).split())}")
    return UNUSABLE
