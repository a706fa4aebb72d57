"""A case as one of pytest-benchmark's benchmarks, whose own commands read the file, too."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from torchduet.bench.merge.sources import AT
from torchduet.bench.record.schema import KEY, Record


def benchmark_of(record: Record) -> dict[str, Any]:
    """A case as a benchmark, with its record and the samples of every placement."""
    case = record["case"]
    params = {
        name: str(value)
        for name in ("suite", "workload", "size_label", "implementation", "device", "mode", "precision")
        if (value := case.get(name))
    }
    return {
        "group": None,
        "name": case["id"],
        "fullname": case["id"],
        "params": params,
        "param": case["id"],
        "extra_info": {KEY: record},
        "options": {
            "disable_gc": True,
            "timer": "torchduet",
            "min_rounds": 1,
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": False,
        },
        "stats": _stats(record),
    }


def with_record(benchmark: Mapping[str, Any], record: Record, machine: str = "") -> dict[str, Any]:
    """A benchmark with a case's new record, and with statistics of its blocks.

    Args:
        benchmark: as a run wrote it; without statistics, as of a journal, it is made anew.
        machine: key of the machine, where there are several: part of the names then, which stay unique so.
    """
    before = benchmark["extra_info"][KEY]
    if "stats" not in benchmark or "name" not in benchmark:
        new = benchmark_of(record)
    else:
        new = {**benchmark, "extra_info": {**benchmark["extra_info"], KEY: record}}
        if len(before["timing"]["blocks"]) != len(record["timing"]["blocks"]):
            new["stats"] = _stats(record)
    if machine:
        new |= {name: f"{new[name]}{AT}{machine}" for name in ("name", "fullname") if isinstance(new.get(name), str)}
        new["extra_info"] = {**new["extra_info"], KEY: {**record, "machine": machine}}
    return new


def _stats(record: Record) -> dict[str, Any]:
    """pytest-benchmark's statistics of the placements' medians, in seconds per call."""
    from pytest_benchmark.stats import Stats

    stats: Any = Stats()  # type: ignore[no-untyped-call]
    stats.data = [median(rounds) for rounds in record["timing"]["blocks"]]
    return {**stats.as_dict(), "data": stats.data, "iterations": record["timing"]["calls_per_block"]}
