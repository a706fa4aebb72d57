"""Words for the figures of several processes: shares, which may be negative, and their intervals."""

from __future__ import annotations

import math

from torchduet.reports.tables.ranks import Estimate
from torchduet.reports.text import units

MAX_SHARE = 10.0  # beyond it, of a very wide interval, the digits say nothing
NARROW = 0.02  # an interval of less is shown with a decimal more, as two equal ends would hide its width


def share(value: float, *, fine: bool = False) -> str:
    """``0.391`` → ``39 %``; a share may be negative, and is rounded to a whole per cent from 10 % on."""
    if abs(value) > MAX_SHARE:
        return f"{'under −' if value < 0 else 'over '}{MAX_SHARE * 100:.0f} %"
    size = abs(value)
    text = f"{size * 100:.1f}" if fine or size < 0.0995 else f"{size * 100:.0f}"
    return f"{'−' if value < 0 and float(text) else ''}{text} %"


def interval(estimate: Estimate) -> str:
    """``31 % to 64 %``; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    fine = estimate.high - estimate.low < NARROW
    return f"{share(estimate.low, fine=fine)} to {share(estimate.high, fine=fine)}"


def share_words(estimate: Estimate) -> str:
    """``44 % (31 % to 64 %)``."""
    return f"{share(estimate.value)} ({interval(estimate) or 'no interval'})"


def rate_interval(estimate: Estimate) -> str:
    """The interval of a bandwidth; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    if estimate.high > estimate.low * units.WIDE:
        low, high = (estimate.value / math.sqrt(units.WIDE), estimate.value * math.sqrt(units.WIDE))
        return f"<{units.rate(low, 'B/s')} to >{units.rate(high, 'B/s')}"
    return f"{units.rate(estimate.low, 'B/s')} to {units.rate(estimate.high, 'B/s')}"
