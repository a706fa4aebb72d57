"""What is said of a run whose time did not pass as it should."""

from __future__ import annotations

from torchduet.bench.record.schema import PassingRecord
from torchduet.bench.record.units import duration

MAX_NAMED = 3


def words(found: PassingRecord) -> list[str]:
    """What is said of it among the run's warnings, a line each."""
    lines = []
    if found["stopped"]:
        lines.append(f"pytest was stopped for {duration(found['stopped'])} (Ctrl-Z, or its machine stood still)")
    if found["suspended"]:
        lines.append(
            f"the machine was suspended for {duration(found['suspended'])}: "
            "its clocks and its heat may have been others afterwards"
        )
    if steps := found["clock_set"]:
        named = ", ".join(f"{duration(abs(by))} {'forward' if by > 0 else 'back'}" for by in steps[:MAX_NAMED])
        more = f" and {len(steps) - MAX_NAMED} times more" if len(steps) > MAX_NAMED else ""
        lines.append(
            f"the machine's clock was set {named}{more}: no duration here is taken from it, but times of day are"
        )
    return lines
