"""Says how a machine does beside the base: how many times as fast, or, below 1, how many times as long it takes.

A small fraction such as 0.0022× is hard to read; 456 times as long is not.
"""

from __future__ import annotations

from torchduet.reports.text import units


def as_fast(ratio: float) -> str:
    """``1.30×`` as fast, or ``takes 59.4 times as long``."""
    return f"takes {units.digits(1 / ratio)} times as long" if _less(ratio) else units.ratio(ratio)


def as_fast_in_short(ratio: float) -> str:
    """The same for a narrow cell: ``1.30×``, ``59.4× as long``."""
    return f"{units.digits(1 / ratio)}× as long" if _less(ratio) else units.ratio(ratio)


def work_for_money(ratio: float) -> str:
    """``1.54×`` as much work for the same money, or ``costs 24.0 times as much``."""
    return f"costs {units.digits(1 / ratio)} times as much" if _less(ratio) else units.ratio(ratio)


def work_for_money_in_short(ratio: float) -> str:
    """The same for a narrow cell: ``1.54×``, ``24.0× the cost``."""
    return f"{units.digits(1 / ratio)}× the cost" if _less(ratio) else units.ratio(ratio)


def _less(ratio: float) -> bool:
    """Whether a ratio is below 1 in the digits that are shown."""
    return ratio < 1 and units.digits(1 / ratio) != units.digits(1)
