"""Figures as they stand in records: rounded, and within the bounds of a file."""

from __future__ import annotations

import math
from typing import Any

from torchduet.bench.record.finite_check import number_of as number_of

SIGNIFICANT = 6


def rounded(value: float) -> float:
    """A value with six significant digits: a millisecond to a nanosecond, in half the file size."""
    return float(f"{value:.{SIGNIFICANT}g}")


def bound(value: float) -> float | None:
    """An interval's end for JSON, which has no infinity."""
    return value if math.isfinite(value) and value > 0 else None


def known(source: object, *names: str) -> dict[str, Any]:
    """Name → value of the attributes that are not None."""
    return {name: value for name in names if (value := getattr(source, name)) is not None}
