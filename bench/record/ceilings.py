"""The best of several measurements of a machine's ceilings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torchduet.bench.record.schema import CeilingRecord


def highest(measurements: Iterable[Sequence[CeilingRecord]]) -> list[CeilingRecord]:
    """The best of several measurements, device by device."""
    found: dict[str, CeilingRecord] = {}
    for one in (record for records in measurements for record in records):
        known = found.setdefault(one["device"], one)
        found[one["device"]] = CeilingRecord(
            device=one["device"],
            flops_per_second=_greater(known["flops_per_second"], one["flops_per_second"]),
            bytes_per_second=_greater(known["bytes_per_second"], one["bytes_per_second"]),
            operator_seconds=min(known["operator_seconds"], one["operator_seconds"]),
        )
    return list(found.values())


def _greater(some: dict[str, float], others: dict[str, float]) -> dict[str, float]:
    return {key: max(some.get(key, 0.0), others.get(key, 0.0)) for key in {**some, **others}}
