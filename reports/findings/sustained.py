"""Compares the time of calls without pause with the time in alternation, and says what the GPU's clock did."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.bench.record.devices import numbered
from torchduet.bench.record.knobs import code
from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

CLOCK_FALLS = 0.01  # a share; readings are steps of 15 MHz
MAX_NAMED = 8
AT_LIMIT = 0.95  # of the power limit


def sentences(run: Run) -> Iterator[str]:
    """A sentence on each case that takes surely more or less time alone; of many, on those that differ most."""
    limits = _power_limits(run)
    differing = [(change, record) for record in run.records if (change := difference(record)) is not None]
    for change, record in sorted(differing, key=lambda pair: -abs(pair[0]))[:MAX_NAMED]:
        words = f"{units.percent(abs(change))} {'longer' if change > 0 else 'less'}"
        limit = limits.get(numbered(record["case"]["device"]))
        yield f"{code(record['case']['id'])}: alone and without pause it takes {words}{_reason(record, change, limit)}."
    if (more := len(differing) - MAX_NAMED) > 0:
        yield f"{more} more {'case differs' if more == 1 else 'cases differ'} by less: see their details."


def difference(record: Record) -> float | None:
    """The time without pause over the time in alternation, less one; None where that is within the noise.

    It has to lie outside the interval of the time in alternation, and 2 % from it.
    """
    found, timing = record.get("sustained"), record["timing"]
    if found is None:
        return None
    seconds, time = found["seconds"], timing["seconds"]
    low, high = timing["low"] or time, timing["high"] or time
    inside = min(low, time / (1 + THRESHOLD)) <= seconds <= max(high, time * (1 + THRESHOLD))
    return None if inside else seconds / time - 1


def shown(record: Record) -> str:
    """A case's time without pause, its power and its clock; empty where that was not measured."""
    found = record.get("sustained")
    if found is None:
        return ""
    parts = [f"{units.seconds(found['seconds'])} per call over {units.seconds(found['window_seconds'])}"]
    if "watts" in found:
        parts.append(units.quantity(found["watts"], "W"))
    if "sm_mhz" in found:
        parts.append(f"SM clock {_megahertz(found['sm_mhz'])}")
    return ", ".join(parts)


def _reason(record: Record, change: float, limit: float | None) -> str:
    """What the clock did, where that explains a longer time; else power and clock as they were."""
    found = record["sustained"]
    first, clock, watts = found.get("first_sm_mhz"), found.get("sm_mhz"), found.get("watts")
    if change > 0 and first and clock and clock < (1 - CLOCK_FALLS) * first:
        at_limit = watts is not None and limit is not None and watts >= AT_LIMIT * limit
        why = f" at its power limit ({watts:.0f} of {limit:.0f} W)" if at_limit else ""
        return f": the GPU lowers its clock ({first:,.0f} → {_megahertz(clock)}){why}"
    return " than between calls of other cases"


def _megahertz(value: float) -> str:
    return f"{value:,.0f} MHz"


def _power_limits(run: Run) -> dict[str, float]:
    """Device → its power limit in watts, where NVML gave it."""
    limits = {gpu["device"]: gpu["facts"].get("power_limit_w") for gpu in run.about.get("gpus", [])}
    return {numbered(device): float(limit) for device, limit in limits.items() if isinstance(limit, int | float)}
