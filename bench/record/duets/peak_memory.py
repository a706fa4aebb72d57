"""Whether a call's peak memory has grown: peaks are counted by an allocator, so they hardly differ without a cause."""

from __future__ import annotations

from typing import Literal

THRESHOLD = 0.05  # a smaller change is none
LEAST_BYTES = 64 * 1024  # nor is one by less, whatever its share

Change = Literal["more", "less", "same"]


def change(base: int | None, new: int | None) -> Change | None:
    """How the peak ``new`` compares with ``base``, both in bytes; None where one is not known."""
    if base is None or new is None:
        return None
    if abs(new - base) < LEAST_BYTES or abs(new - base) <= THRESHOLD * base:
        return "same"
    return "more" if new > base else "less"
