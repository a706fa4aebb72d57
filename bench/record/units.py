"""Formats figures, the same in the terminal and in the reports: durations, factors, marks of verdicts."""

from __future__ import annotations

import math

MAX_ROWS = 40  # of a table in the terminal
WIDE = 1e4  # an interval whose upper end is so many times its lower one decides nothing: its exact ends are not shown
TOO_WIDE = 100  # a factor that is not shown more exactly
FAR = 1000  # the end of a wide interval that lies further from 1 is not shown more exactly
MARK = {"faster": "+", "slower": "-", "same": "=", "unclear": "?"}


def duration(seconds: float) -> str:
    """``8 s``, ``1 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def short_duration(seconds: float) -> str:
    """A duration that may be short, with two significant digits below 10 s: ``0.5 s``, ``1.4 s``, ``23 s``."""
    if seconds >= 10:
        return duration(seconds)
    text = digits(seconds, 2)
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} s"


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


def percent(fraction: float) -> str:
    """``0.0215`` → ``2.2 %``."""
    value = fraction * 100
    text = digits(value, 2) if value < 100 else digits(value)
    return f"{text.removesuffix('.0')} %"


def half_width(value: float) -> str:
    """Half an interval of log ratios: ``±4.1 %``; from half as much on, no longer a small change, as a factor."""
    if value < 0.5:
        return f"±{percent(value)}"
    times = math.exp(min(value, math.log(TOO_WIDE) + 1))
    return f"a factor of {f'over {TOO_WIDE}' if times > TOO_WIDE else digits(times, 2)} either way"


def size(value: float) -> str:
    """Bytes of memory: ``8589934592`` → ``8.00 GiB``."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value >= 1024**power:
            return f"{digits(value / 1024**power)} {unit}"
    return f"{value:g} B"


def seconds(value: float) -> str:
    """A time of one call: ``0.00123`` → ``1.23 ms``."""
    scale, unit = _unit(value)
    return f"{digits(value / scale)} {unit}"


def seconds_interval(low: float | None, high: float | None) -> str:
    """The interval of a time, in one unit: ``1.20 to 1.26 ms``; empty if there is none."""
    if low is None or high is None:
        return ""
    if (within := _within(low, high)) is not None:
        return f"<{seconds(within[0])} to >{seconds(within[1])}"
    scale, unit = _unit(high)
    return f"{digits(low / scale)} to {digits(high / scale)} {unit}"


def _unit(value: float) -> tuple[float, str]:
    """The unit in which a time is at least 1, as rounded: its seconds, and its name."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    return next((unit for unit in units if value >= unit[0] * 0.9995), (1e-9, "ns"))


def _within(low: float, high: float) -> tuple[float, float] | None:
    """The middle ``WIDE`` of an interval that is wider than that; None for others."""
    if low <= 0 or high / low <= WIDE:
        return None
    middle, half = math.sqrt(low) * math.sqrt(high), math.sqrt(WIDE)
    return middle / half, middle * half


def ratio(value: float) -> str:
    """A speed-up: ``1.31×``."""
    return f"{digits(value, 2) if value < 0.1 else digits(value) if value >= 10 else f'{value:.2f}'}×"


def ratio_interval(low: float | None, high: float | None) -> str:
    """A speed-up's interval, with a third decimal where two would hide its width; empty if there is none."""
    if low is None or high is None:
        return ""
    if (within := _within(low, high)) is not None:
        low, high = max(within[0], 1 / FAR), min(within[1], FAR)
        return f"<{digits(low, 1)} to >{digits(high, 1)}" if low < high else f">{FAR:,}" if low > 1 else f"<{1 / FAR:g}"
    if low > 0 and high / low > TOO_WIDE and not 1 / FAR <= low <= high <= FAR:
        ends = f"<{1 / FAR:g}" if low < 1 / FAR else digits(low, 2), f">{FAR:,}" if high > FAR else digits(high, 2)
        return " to ".join(ends)
    if low < 0.1:
        return f"{digits(low, 2)} to {digits(high, 2)}"
    if high >= 10:
        return f"{digits(low)} to {digits(high)}"
    places = 2 if round(high - low, 4) >= 0.015 else 3
    return f"{low:.{places}f} to {high:.{places}f}"
