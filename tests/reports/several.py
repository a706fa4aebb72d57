"""A run with cases of several processes: strong and weak scaling on 1 to 8 ranks, communication, collectives.

As in ``sample``, nothing is measured: names and magnitudes are plausible, the file's form is exact.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.reports.in_visits import in_visits
from tests.reports.made_once import made_once
from tests.reports.sample import benchmark_of, document_of, speedup_record
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import speedup

COUNTS = (1, 2, 4, 8)
PLACEMENTS, ROUNDS = 12, 5
MIB = 1 << 20


@dataclass(frozen=True)
class Made:
    """One case: its time, ranks, role, and the bytes that a rank holds."""

    implementation: str
    ranks: int
    seconds: float
    role: str = ""
    peak: int | None = None
    skew: float = 0.01


def strong() -> list[Made]:
    """A step of 20 ms that is divided; DDP hides most of its communication, FSDP less."""
    cases = [Made("plain", 1, 0.0201, "alone", 26 * MIB)]
    for implementation, sent, overhead, peak in (
        ("local", 0.0, 0.0, lambda _: 26 * MIB),
        ("ddp", 0.0012, 0.0006, lambda _: 33 * MIB),
        ("fsdp", 0.0032, 0.0031, lambda n: 9 * MIB + 18 * MIB // n),
    ):
        for n in COUNTS:
            seconds = 0.0198 / n + 0.0004 + overhead + sent * 2 * (n - 1) / n
            cases.append(Made(implementation, n, seconds, "part" if implementation == "local" else "", peak(n)))
    return cases


def weak() -> list[Made]:
    """Every rank has 20 ms of work of its own."""
    return [Made("ddp", n, 0.02 + 0.004 * math.log2(n)) for n in COUNTS] + [
        Made("accumulated", n, 0.0203 + 0.0009 * math.log2(n)) for n in COUNTS
    ]


def collective(size: int) -> list[Made]:
    return [
        Made(implementation, n, latency * (1 + 0.2 * math.log2(n)) + size / rate)
        for implementation, latency, rate in (("all_reduce", 8e-5, 1.1e9), ("in_two_halves", 1.6e-4, 0.9e9))
        for n in COUNTS[1:]
    ]


@made_once
def make_several(seed: int = 5, *, noise: float = 0.004, alone: bool = True) -> Any:
    """The whole run as the JSON file's content.

    Args:
        noise: spread between placements.
        alone: whether its cases have a control.
    """
    rng = random.Random(seed)
    found = _family("mlp_step", {"batch": 256}, strong(), lambda _: {"samples": 256, "flops": 8e8}, rng, noise)
    found += _family("weak_step", {"batch": 256}, weak(), lambda n: {"samples": 256 * n}, rng, noise)
    for size in (1 << 10, 1 << 16, 1 << 20, 1 << 24):
        cost = {n: {"message": float(size), "bus": size * 2 * (n - 1) / n} for n in COUNTS}
        found += _family("all_reduce", {"bytes": size}, collective(size), cost.__getitem__, rng, noise)
    found += _family(
        "uncounted", {}, [Made("sharded", n, 0.01 / n + 0.001) for n in COUNTS[:2]], lambda _: {}, rng, noise
    )
    document = in_visits(document_of(found))
    if not alone:
        for one in document["benchmarks"]:
            del one["extra_info"][KEY]["alone"]
    return document


@cache
def several() -> Any:
    """The run, which tests must not change."""
    return make_several()


def _family(
    workload: str, size: dict[str, int], made: Sequence[Made], cost: Any, rng: random.Random, noise: float
) -> list[Any]:
    shared = [[rng.gauss(0, 0.02) for _ in range(ROUNDS)] for _ in range(PLACEMENTS)]
    cases = [_case(workload, size, of, index == 0) for index, of in enumerate(made)]
    blocks = [
        [
            [of.seconds * math.exp(drift + shift + abs(rng.gauss(0, 0.002))) for drift in place]
            for place, shift in ((place, rng.gauss(0, noise)) for place in shared)
        ]
        for of in made
    ]
    found = []
    for index, of in enumerate(made):
        held = [
            _speedup(knob, cases[index], cases[other], speedup(blocks[other], blocks[index]))
            for knob, other in _comparisons(index, made)
        ]
        one = benchmark_of(cases[index], blocks[index], held, cost(of.ranks), rng)
        record = one["extra_info"][KEY]
        record["alone"] = [of.seconds * math.exp(rng.gauss(0, noise)) for _ in range(5)]
        if of.peak is not None:
            record["peak_bytes"] = of.peak
        if of.role != "alone":
            record["ranks"] = _ranks(of, rng)
        found.append(one)
    return found


def _ranks(of: Made, rng: random.Random) -> dict[str, Any]:
    seconds = [of.seconds * (1 - rng.uniform(0, of.skew / 4)) for _ in range(of.ranks)]
    ranks = {
        "backend": "gloo",
        "threads": 1,
        "seconds": seconds,
        "mean": sum(seconds) / len(seconds),
        "least": min(seconds),
        "skew": of.seconds * of.skew if of.ranks > 1 else 0.0,
    }
    if of.peak is not None:
        ranks["peak_bytes"] = [of.peak - 1024 * rank for rank in range(of.ranks)]
    return ranks


def _comparisons(index: int, made: Sequence[Made]) -> list[tuple[str, int]]:
    of, first = made[index], made[0]
    if index == 0:
        return []
    held = []
    if of.role != "part":
        held.append(("reference", 0))
        held += [
            ("communication", other)
            for other, case in enumerate(made)
            if case.role == "part" and case.ranks == of.ranks
        ]
        if of.ranks == first.ranks and of.implementation != first.implementation:
            held.append(("implementation", 0))
    held += [
        ("ranks", other)
        for other, case in enumerate(made)
        if case.implementation == of.implementation and case.ranks == first.ranks < of.ranks
    ]
    return held


def _speedup(knob: str, case: dict[str, Any], other: dict[str, Any], estimate: Any) -> dict[str, Any]:
    if knob in ("implementation", "ranks"):
        return speedup_record(knob, case, other, estimate)
    value, baseline = (of["id"].removeprefix(of["family"]).strip() for of in (case, other))
    return speedup_record("reference", case, other, estimate) | {"knob": knob, "value": value, "baseline": baseline}


def _case(workload: str, size: dict[str, int], of: Made, reference: bool) -> dict[str, Any]:
    label = ",".join(f"{axis}={value}" for axis, value in size.items())
    family = f"distributed.{workload}" + (f"[{label}]" if size else "")
    case = {
        "id": f"{family} {of.implementation} cpu eager fp32 ranks{of.ranks}",
        "family": family,
        "suite": "distributed",
        "workload": workload,
        "about": f"{workload} in several processes",
        "size": size,
        "size_label": label,
        "implementation": of.implementation,
        "device": "cpu",
        "mode": "eager",
        "precision": "fp32",
        "ranks": of.ranks,
        "reference": reference,
    }
    return case | ({"role": of.role} if of.role else {})
