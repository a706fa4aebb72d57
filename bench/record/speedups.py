"""Which of a case's speed-ups are counted and shown."""

from __future__ import annotations

from torchduet.bench.record.schema import Record, SpeedupRecord


def counted(record: Record) -> list[SpeedupRecord]:
    """A case's speed-ups knob by knob; against the family's reference where it has no other."""
    found = record["speedups"]
    return [one for one in found if one["knob"] != "reference" or len(found) == 1]
