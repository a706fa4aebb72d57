"""Runs of plain pytest-benchmark as it writes them (its version 5), from random rounds."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from tests.reports.sample import stats_of

FUNCTIONS = tuple(f"test_{name}" for name in ("sort", "sum", "dumps", "loads", "split", "wrap", "heap", "pack", "copy"))
MORE = tuple(f"test_{name}" for name in ("fib", "primes", "join", "dict", "loop", "sha", "median"))


def make_plain(
    seed: int = 1,
    *,
    functions: tuple[str, ...] = FUNCTIONS + MORE,
    slower: Mapping[str, float] | None = None,
    rounds: int = 120,
    noise: float = 0.003,
    between: float = 0.004,
    data: bool = True,
) -> Any:
    """A whole file: a benchmark per function, and one of two parameters.

    Args:
        slower: function → its time is multiplied by this.
        noise: the spread of rounds (standard deviation, log).
        between: the spread of a function's median from one run to the next.
        data: the file has every round, as of ``--benchmark-json``; else only their summary.
    """
    rng = random.Random(seed)
    slower = slower or {}
    benchmarks = []
    named = [(name, None) for name in functions] + [("test_scan", 10), ("test_scan", 1000)]
    for place, (name, size) in enumerate(named):
        base = 1e-5 * (1 + place) * slower.get(name, 1.0) * math.exp(rng.gauss(0, between))
        times = [base * math.exp(abs(rng.gauss(0, noise))) for _ in range(rounds)]
        benchmarks.append(benchmark_of(name, size, times, data))
    return {
        "machine_info": {
            "node": "runner",
            "processor": "",
            "machine": "x86_64",
            "python_implementation": "CPython",
            "python_version": "3.12.4",
            "release": "6.1.0",
            "system": "Linux",
            "cpu": {"brand_raw": "Example CPU @ 2.40 GHz", "count": 2, "flags": ["avx2"]},
        },
        "commit_info": {"id": "0123456789abcdef0123456789abcdef01234567", "dirty": False, "branch": "main"},
        "benchmarks": benchmarks,
        "datetime": f"2026-03-{seed % 28 + 1:02}T09:30:00+00:00",
        "version": "5.3.1",
    }


def benchmark_of(name: str, size: int | None, times: list[float], data: bool = True) -> dict[str, Any]:
    """One benchmark with its rounds, in seconds per call."""
    full = name if size is None else f"{name}[{size}]"
    stats = stats_of(times) | {"iterations": 3}
    if not data:
        del stats["data"]
    return {
        "group": "scans" if size else None,
        "name": full,
        "fullname": f"tests/test_speed.py::{full}",
        "params": None if size is None else {"n": size, "like": "UNSERIALIZABLE[<object object at 0x7f0a4e0c7600>]"},
        "param": None if size is None else str(size),
        "extra_info": {},
        "options": {"disable_gc": False, "timer": "perf_counter", "min_rounds": 5, "max_time": 1.0, "min_time": 5e-06},
        "stats": stats,
    }
