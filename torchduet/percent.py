"""Reads what a program gives as a share or as a time: ``"5%"``, 0.05, ``"3s"``, 3."""

from __future__ import annotations

import math
import re

MAX_LETTERS = 40  # of a number with its unit

__tracebackhide__ = True  # pytest shows the line of a test, not these


def share_of(value: str | float, keyword: str) -> float:
    """``"5%"`` or 0.05 → 0.05.

    Raises:
        ValueError: it is no share above 0; the message names the keyword.
    """
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%")) if len(text) <= MAX_LETTERS else math.nan
        share = number / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if isinstance(value, bool) or not 0 < share < 10:
        raise ValueError(f"{keyword}={value!r}: use a percentage above 0, such as '5%', or a share, such as 0.05")
    return share


def seconds_of(value: str | float | None, keyword: str) -> float | None:
    """``"3s"``, ``"1m"`` or 3 → seconds; None stays None.

    Raises:
        ValueError: it is no time above 0; the message names the keyword.
    """
    if value is None:
        return None
    units = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
    text = str(value).strip()
    found = len(text) <= MAX_LETTERS and re.fullmatch(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(ms|s|min|m|h)?", text)
    seconds = float(found[1]) * units[found[2] or "s"] if found else math.nan
    if isinstance(value, bool) or not 0 < seconds < math.inf:
        raise ValueError(f"{keyword}={value!r}: use a time such as '3s', '1m' or 3")
    return seconds
