"""Formats figures, the same in the terminal and in the reports: durations, factors, marks of verdicts."""

from __future__ import annotations

import math

MAX_ROWS = 40  # of a table in the terminal
MARK = {"faster": "+", "slower": "-", "same": "=", "unclear": "?"}


def duration(seconds: float) -> str:
    """``8 s``, ``1 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def factor(value: float | None) -> str:
    """A speed-up with three significant digits: ``1.31×``."""
    if value is None:
        return "?"
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 2
    return f"{value:.{min(digits, 4)}f}×"


def digits(value: float, significant: int = 3) -> str:
    """``value`` with that many significant digits and thousands separated: 1234.5 → ``1,230``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(value)))
    places = significant - 1 - magnitude
    rounded = round(value, places)
    if rounded and math.floor(math.log10(abs(rounded))) > magnitude:
        places -= 1  # 9.996 → 10.0, not 10.00
    return f"{rounded:,.{max(places, 0)}f}"


def size(value: float) -> str:
    """Bytes of memory: ``8589934592`` → ``8.00 GiB``."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value >= 1024**power:
            return f"{digits(value / 1024**power)} {unit}"
    return f"{value:g} B"
