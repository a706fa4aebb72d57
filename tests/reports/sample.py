"""Runs as ``bench`` would write them, from random block times and the real estimates.

Nothing here is measured: the names and magnitudes are plausible, the file's form is exact.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from typing import Any

from tests.reports.in_visits import in_visits
from tests.reports.made_once import made_once
from torchduet.bench.record.schema import KEY, SCHEMA
from torchduet.bench.record.statistics import THRESHOLD, Speedup, seconds_per_call, speedup

KNOBS = ("implementation", "device", "mode", "precision")

# suite, workload, about, axes, implementations, modes, precisions, seconds(size), compile gain, flops(size)
WORKLOADS: list[dict[str, Any]] = [
    {
        "suite": "tensor_ops",
        "workload": workload,
        "about": about,
        "sizes": [{"n": 65_536}, {"n": 1_048_576}],
        "seconds": lambda size, per=per: 4e-6 + per * size["n"],
        "gain": gain,
        "cost": lambda size: {"flops": 1.0 * size["n"], "bytes": 8.0 * size["n"]},
    }
    for workload, about, per, gain in (
        ("add", "x + y", 2.1e-10, 0.93),
        ("gelu_chain", "gelu(x) * sigmoid(x) + x", 1.9e-9, 2.35),
        ("softmax", "softmax over the last dimension", 8e-10, 1.01),
    )
] + [
    {
        "suite": "matmul",
        "workload": "square",
        "about": "A @ B of two n × n matrices",
        "sizes": [{"n": 128}, {"n": 512}, {"n": 1024}],
        "precisions": ["fp32", "bf16"],
        "seconds": lambda size: 5e-6 + 1.6e-11 * 2 * size["n"] ** 3,
        "gain": 1.0,
        "bf16": 0.47,
        "cost": lambda size: {"flops": 2.0 * size["n"] ** 3, "bytes": 12.0 * size["n"] ** 2},
    },
    {
        "suite": "einsum",
        "workload": "matrix_product",
        "about": "ij,jk->ik",
        "sizes": [{"n": 256, "spec": "ij,jk->ik"}, {"n": 512, "spec": "ij,jk->ik"}],
        "implementations": ["mm", "einsum"],
        "seconds": lambda size: 6e-6 + 1.7e-11 * 2 * size["n"] ** 3,
        "gain": 0.99,
        "implementation": 0.975,
        "cost": lambda size: {"flops": 2.0 * size["n"] ** 3},
    },
    {
        "suite": "mlp",
        "workload": "train_step",
        "about": "forward, backward and SGD step of an MLP with cross-entropy",
        "sizes": [
            {"layers": layers, "batch": batch}
            for layers, batch in itertools.product(("784-100-10", "784-512-512-10"), (100, 1000))
        ],
        "modes": ["eager", "compile", "compile-model"],
        "precisions": ["fp32", "bf16"],
        "seconds": lambda size: 2.4e-4 + 2.3e-6 * size["batch"] * (4 if "512" in size["layers"] else 1),
        "gain": 1.31,
        "bf16": 0.86,
        "cost": lambda size: {"flops": 480_000.0 * size["batch"], "samples": size["batch"]},
    },
]


@made_once
def make_run(
    seed: int = 1, *, placements: int = 12, rounds: int = 9, copies: int = 1, noise: float = 0.004, visits: int = 4
) -> Any:
    """A whole run of about 48 cases per copy, as the JSON file's content.

    Args:
        placements: of each case, in all visits together.
        copies: repeats every workload under numbered names.
        noise: the spread between placements.
        visits: to each family; 0: as an earlier version wrote it, which had none.
    """
    rng = random.Random(seed)
    benchmarks: list[Any] = []
    for copy in range(copies):
        for workload in WORKLOADS:
            name = workload["workload"] + (f"_{copy}" if copy else "")
            for size in workload["sizes"]:
                benchmarks += _family({**workload, "workload": name}, size, rng, placements, rounds, noise)
    document = document_of(benchmarks)
    return in_visits(document, visits) if visits else document


def empty_run() -> Any:
    """A run in which nothing could be measured."""
    return document_of([])


def _family(
    workload: dict[str, Any], size: dict[str, Any], rng: random.Random, placements: int, rounds: int, noise: float
) -> list[Any]:
    implementations = workload.get("implementations", [workload["workload"]])
    variants = [
        dict(zip(KNOBS, values, strict=True))
        for values in itertools.product(
            implementations,
            ["cpu"],
            workload.get("modes", ["eager", "compile"]),
            workload.get("precisions", ["fp32"]),
        )
    ]
    cases = [_case(workload, size, variant, variant == variants[0], len(implementations) > 1) for variant in variants]
    base = workload["seconds"](size)
    places = [[rng.gauss(0, 0.01) for _ in range(rounds)] for _ in range(placements)]
    blocks = []
    for variant in variants:
        gain = rng.gauss(1, 0.02)
        if variant["mode"] != "eager":
            gain *= workload["gain"] if variant["mode"] == "compile" else 1 + (workload["gain"] - 1) * 0.7
        if variant["precision"] == "bf16":
            gain *= workload["bf16"]
        if variant["implementation"] != implementations[0]:
            gain *= workload["implementation"]
        spread = noise * (6 if rng.random() < 0.12 else 1)
        blocks.append(
            [
                [base / gain * math.exp(drift + shift + abs(rng.gauss(0, 0.002))) for drift in place]
                for place, shift in ((place, rng.gauss(0, spread)) for place in places)
            ]
        )
    found = []
    for index, (variant, case) in enumerate(zip(variants, cases, strict=True)):
        held = [("reference", 0)] if index else []
        for knob in KNOBS:
            if variant[knob] != variants[0][knob]:
                held.append((knob, variants.index({**variant, knob: variants[0][knob]})))
        found.append(
            benchmark_of(
                case,
                blocks[index],
                [
                    speedup_record(knob, cases[index], cases[other], speedup(blocks[other], blocks[index]))
                    for knob, other in held
                ],
                workload["cost"](size),
                rng,
            )
        )
    return found


def _case(
    workload: dict[str, Any], size: dict[str, Any], variant: dict[str, str], reference: bool, several: bool
) -> dict[str, Any]:
    label = ",".join(f"{axis}={value}" for axis, value in size.items())
    family = f"{workload['suite']}.{workload['workload']}[{label}]"
    named = [variant[knob] for knob in KNOBS if several or knob != "implementation"]
    return {
        "id": " ".join([family, *named]),
        "family": family,
        "suite": workload["suite"],
        "workload": workload["workload"],
        "about": workload["about"],
        "size": size,
        "size_label": label,
        **variant,
        "reference": reference,
    }


def speedup_record(knob: str, case: dict[str, Any], other: dict[str, Any], estimate: Speedup) -> dict[str, Any]:
    """A comparison as ``bench`` writes it."""
    finite = math.isfinite(estimate.high)
    return {
        "knob": knob,
        "value": " ".join(case[k] for k in KNOBS) if knob == "reference" else str(case[knob]),
        "baseline": " ".join(other[k] for k in KNOBS) if knob == "reference" else str(other[knob]),
        "against": other["id"],
        "ratio": estimate.ratio,
        "low": estimate.low if finite else None,
        "high": estimate.high if finite else None,
        "confidence": estimate.confidence,
        "placements": estimate.placements,
        "threshold": THRESHOLD,
        "verdict": estimate.verdict(THRESHOLD),
    }


def benchmark_of(case: Any, blocks: list[list[float]], speedups: list[Any], cost: Any, rng: random.Random) -> Any:
    estimate = seconds_per_call(blocks)
    finite = math.isfinite(estimate.high)
    compiled = case["mode"] != "eager"
    breaks = [{"reason": "Unsupported: optimizer step hooks", "count": 1}] if case["mode"] == "compile-model" else []
    record = {
        "schema": SCHEMA,
        "case": case,
        "timing": {
            "clock": "perf_counter",
            "calls_per_block": max(1, round(1e-3 / estimate.point)),
            "blocks": blocks,
            "stop": "precise" if rng.random() < 0.8 else "budget",
            "seconds": estimate.point,
            "low": estimate.low if finite else None,
            "high": estimate.high if finite else None,
        },
        "speedups": speedups,
        "first_call": {
            "seconds": rng.uniform(2.7, 6.4) if compiled else estimate.point * rng.uniform(3, 40),
            "calls": 2 if compiled else 1,
        },
        "compile": {"graphs": 1 + len(breaks), "graph_breaks": breaks, "cold": True} if compiled else None,
        "check": {
            "what": "values",
            "relative_error": rng.uniform(1.5e-3, 4e-3) if case["precision"] == "bf16" else rng.uniform(1e-7, 5e-7),
            "tolerance": 2e-2 if case["precision"] == "bf16" else 1e-5,
        },
        "cost": cost,
        "notes": ["more threads than free cores for part of the run"] if rng.random() < 0.05 else [],
    }
    medians = [statistics.median(rounds) for rounds in blocks]
    name = f"test_{case['suite']}[{case['id'].replace(' ', '-')}]"
    return {
        "group": case["family"],
        "name": name,
        "fullname": f"bench/test_{case['suite']}.py::{name}",
        "params": {knob: case[knob] for knob in KNOBS},
        "param": case["id"],
        "extra_info": {KEY: record},
        "options": {
            "disable_gc": False,
            "timer": "perf_counter",
            "min_rounds": 5,
            "max_time": 1.0,
            "min_time": 5e-06,
            "warmup": False,
        },
        "stats": stats_of(medians),
    }


def stats_of(data: list[float]) -> dict[str, Any]:
    """pytest-benchmark's statistics of rounds, in seconds per call."""
    low, middle, high = statistics.quantiles(data, n=4) if len(data) > 1 else (data[0],) * 3
    mean = statistics.fmean(data)
    return {
        "min": min(data),
        "max": max(data),
        "mean": mean,
        "stddev": statistics.stdev(data) if len(data) > 1 else 0,
        "rounds": len(data),
        "median": middle,
        "iqr": high - low,
        "q1": low,
        "q3": high,
        "iqr_outliers": 0,
        "stddev_outliers": 0,
        "outliers": "0;0",
        "ld15iqr": min(data),
        "hd15iqr": max(data),
        "ops": 1 / mean,
        "total": sum(data),
        "data": data,
        "iterations": 1,
    }


def document_of(benchmarks: list[Any]) -> dict[str, Any]:
    unmeasured = _case(
        {"suite": "matmul", "workload": "batched", "about": "a batch of products"},
        {"batch": 512, "n": 4096},
        {"implementation": "batched", "device": "cpu", "mode": "eager", "precision": "fp32"},
        True,
        False,
    )
    return {
        "machine_info": {"node": "runner", "machine": "x86_64", "system": "Linux", "python_version": "3.12.4"},
        "commit_info": {"id": "0123456789abcdef0123456789abcdef01234567", "dirty": False, "branch": "main"},
        "benchmarks": benchmarks,
        "datetime": "2026-03-02T09:30:00+00:00",
        "version": "5.1.0",
        KEY: {
            "schema": SCHEMA,
            "version": "0.1.0",
            "started": "2026-03-02T09:21:37+00:00",
            "options": {"tier": "quick", "budget_seconds": 2.0, "threads": 1, "device": "cpu", "suite": None},
            "machine": {
                "cpu": "Example CPU @ 2.40 GHz",
                "cores": 2,
                "memory_bytes": 8 * 2**30,
                "python": "3.12.4",
                "torch": "2.9.1",
                "gpu": None,
            },
            "seconds": {
                "total": 412.0,
                "startup": 6.1,
                "compiling": 171.5,
                "timed": 143.2,
                "checking": 21.8,
                "warming": 52.3,
            },
            "skipped": [{"case": unmeasured, "reason": "needs 34.4 GB of memory, 8 GB are free"}],
            "failed": [
                {
                    "case": {**unmeasured, "id": "matmul.batched[batch=8,n=64] cpu eager bf16", "precision": "bf16"},
                    "reason": "wrong result: relative error 0.31 exceeds the tolerance 0.02",
                }
            ],
            "unavailable": [
                {"variant": "cuda", "reason": "PyTorch was built without CUDA"},
                {"variant": "tf32", "reason": "needs a CUDA GPU of compute capability 8.0 or higher"},
            ],
            "warnings": ["one other process used 38 % of a core during 2 of 17 families"],
        },
    }
