"""Selects the speed-ups of a case that are counted and shown."""

from __future__ import annotations

from torchduet.bench.record.schema import Record, SpeedupRecord


def counted(record: Record) -> list[SpeedupRecord]:
    """A case's speed-ups by knob; the one over the family's reference only if there is no other."""
    speedups = record["speedups"]
    return [speedup for speedup in speedups if speedup["knob"] != "reference" or len(speedups) == 1]
