"""Formats numbers for people: three significant digits with a suitable unit."""

from __future__ import annotations

import math

from torchduet.bench.record.units import WIDE as WIDE
from torchduet.bench.record.units import digits as digits
from torchduet.bench.record.units import half_width as half_width
from torchduet.bench.record.units import percent as percent
from torchduet.bench.record.units import ratio as ratio
from torchduet.bench.record.units import ratio_interval as ratio_interval
from torchduet.bench.record.units import seconds as seconds
from torchduet.bench.record.units import seconds_interval as seconds_interval
from torchduet.bench.record.units import size as size
from torchduet.bench.record.words.counting import of_all as of_all
from torchduet.bench.record.words.counting import plural as plural

UNSETTLED = 2.0  # upper over lower end of an interval of a time: a wider one does not settle it
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def small(value: float) -> str:
    """A rate in a column of one unit; a rate that would show as zeros becomes ``<0.001``."""
    return digits(value) if value >= 1e-3 or value <= 0 else "<0.001"


def duration(value: float) -> str:
    """A waiting time: ``0.0011`` → ``1.1 ms``, ``75`` → ``75 s``, ``9000`` → ``2.5 h``."""
    if value == 0:
        return "0 s"
    for limit, scale, unit in (
        *((1e-6, 1e-9, "ns"), (1e-3, 1e-6, "µs"), (0.0995, 1e-3, "ms")),
        *((100.0, 1.0, "s"), (100 * 60.0, 60.0, "min"), (72 * 3600.0, 3600.0, "h")),
    ):
        if value < limit:
            return f"{digits(value / scale, 2)} {unit}"
    days = value / 86400
    return f"{digits(days, 2)} days" if days < 1000 else f"{digits(days / 365.25, 2)} years"


def count(value: float) -> str:
    """A number of calls: ``11432`` → ``11,400``; ``3.42e6`` → ``3.42 million``."""
    for scale, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= scale * 0.9995:
            return f"{digits(value / scale)} {word}"
    return digits(math.ceil(value)) if value >= 100 else f"{math.ceil(value)}"


def rate(value: float, unit: str) -> str:
    """A throughput: ``rate(3.2e9, "FLOP/s")`` → ``3.20 GFLOP/s``."""
    scale, prefix = next((step for step in _PREFIXES if value >= step[0] * 0.9995), (1.0, ""))
    return f"{digits(value / scale)} {prefix}{unit}"


def quantity(value: float, unit: str) -> str:
    """A number that a case records about itself, in its unit: seconds, bytes, any other, or none."""
    if unit == "s":
        return seconds(value)
    if unit == "bytes":
        return size(value)
    if value == int(value):
        text = f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3g}"
    else:
        text = f"{value:.4g}" if abs(value) < 1 else digits(value)
    return f"{text}{unit[1:]}" if unit == "1/s" else f"{text} {unit}".strip()
