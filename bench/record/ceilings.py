"""The best of several measurements of a machine's ceilings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torchduet.bench.record.schema import CeilingRecord


def highest(measurements: Iterable[Sequence[CeilingRecord]]) -> list[CeilingRecord]:
    """The best of several measurements, device by device."""
    best: dict[str, CeilingRecord] = {}
    for record in (record for records in measurements for record in records):
        so_far = best.setdefault(record["device"], record)
        best[record["device"]] = CeilingRecord(
            device=record["device"],
            flops_per_second=_maxima(so_far["flops_per_second"], record["flops_per_second"]),
            bytes_per_second=_maxima(so_far["bytes_per_second"], record["bytes_per_second"]),
            operator_seconds=min(so_far["operator_seconds"], record["operator_seconds"]),
        )
    return list(best.values())


def _maxima(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {key: max(first.get(key, 0.0), second.get(key, 0.0)) for key in {**first, **second}}
