"""Warnings about a run during which pytest or the machine was suspended, or the clock was set."""

from __future__ import annotations

from torchduet.bench.record.schema import PassingRecord
from torchduet.bench.record.units import duration

MAX_NAMED = 3


def words(record: PassingRecord) -> list[str]:
    """The warnings, a line each."""
    lines = []
    if record["stopped"]:
        lines.append(f"pytest was suspended for {duration(record['stopped'])} (by Ctrl-Z, or with its machine)")
    if record["suspended"]:
        lines.append(
            f"the machine was suspended for {duration(record['suspended'])}: "
            "its clocks and its temperature may have differed afterwards"
        )
    if steps := record["clock_set"]:
        named = ", ".join(f"{duration(abs(step))} {'forward' if step > 0 else 'back'}" for step in steps[:MAX_NAMED])
        more = f" and {len(steps) - MAX_NAMED} times more" if len(steps) > MAX_NAMED else ""
        lines.append(f"the machine's clock was set {named}{more}: no duration depends on it, but times of day do")
    return lines
