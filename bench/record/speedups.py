"""Selects the speed-ups of a case that are counted and shown."""

from __future__ import annotations

from torchduet.bench.record.knobs import COMMUNICATION, PART
from torchduet.bench.record.schema import Record, SpeedupRecord


def counted(record: Record) -> list[SpeedupRecord]:
    """A case's speed-ups by knob; the one over the family's reference only if there is no other.

    A case that leaves its communication out computes something else, and a case held against it shows how much
    communication costs: neither is a speed-up.
    """
    if record["case"].get("role") == PART:
        return []
    speedups = [speedup for speedup in record["speedups"] if speedup["knob"] != COMMUNICATION]
    return [speedup for speedup in speedups if speedup["knob"] != "reference" or len(speedups) == 1]
