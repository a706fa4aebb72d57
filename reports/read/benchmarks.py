"""Finds Torchduet's records among pytest-benchmark's benchmarks."""

from __future__ import annotations

from typing import Any

from torchduet.bench.record.schema import KEY


def record_of(benchmark: object) -> Any:
    """Torchduet's record in a benchmark's ``extra_info``; None if there is none."""
    extra_info = benchmark.get("extra_info") if isinstance(benchmark, dict) else None
    return extra_info.get(KEY) if isinstance(extra_info, dict) else None
