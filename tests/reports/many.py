"""Runs of as many cases as asked for, as ``bench`` would write them: families of 4 to 8, placements, pilots, noise.

``python tests/reports/many.py 10000 SEED FILE`` writes one as a run does. Nothing in it was measured.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.reports.remeasured import KINDS, begun
from tests.reports.sample import benchmark_of, document_of, speedup_record
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import speedup

SUITES = ("tensor_ops", "matmul", "einsum", "mlp", "attention", "convolution", "optimizer", "dataloader")
SETTINGS = tuple(itertools.product(("eager", "compile"), ("fp32", "bf16", "tf32", "fp16")))
QUIET, DRIFT, WITHIN = 0.006, 0.01, 0.003  # standard deviations of log times: processes, placements, blocks
SLOWER_EVERY, SLOWER = 97, 1.12
CAUSE = "the pilots before and after differ by {share} %, without any load on this machine: other tenants of the host"


def make_many(cases: int, seed: int = 1, *, changed: bool = False, placements: int = 20) -> Any:
    """A run of that many cases; runs of all seeds have the same ones.

    Args:
        changed: every 97th case takes 12 % longer.
    """
    rng = random.Random(seed)
    benchmarks: list[Any] = []
    pilots: list[Any] = []
    for family, settings in _families(cases):
        moved = math.exp(rng.gauss(0, QUIET))
        pilots.append(_pilot(len(pilots), family, moved, rng))
        benchmarks += _measured(family, settings, moved, rng, placements, len(benchmarks), changed)
    document = document_of(benchmarks)
    document[KEY]["pilots"] = [*pilots, _pilot(len(pilots), "", 1.0, rng)]
    document[KEY]["started"] = begun(seed)
    return document


def _families(cases: int) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Families of 4 to 8 cases with their settings; the last one may be smaller."""
    rng = random.Random(0)
    left, number = cases, 0
    while left:
        size = min(rng.randint(4, 8), left)
        suite = SUITES[number % len(SUITES)]
        yield f"{suite}.workload_{number // len(SUITES)}[n={rng.choice((64, 256, 1024, 4096))}]", SETTINGS[:size]
        left, number = left - size, number + 1


def _pilot(place: int, family: str, moved: float, rng: random.Random) -> dict[str, Any]:
    seconds = {kind: unit * moved * math.exp(rng.gauss(0, QUIET / 2)) for kind, unit in KINDS.items()}
    return {"at": 4.0 * place, "before": family, "seconds": seconds}


def _measured(
    family: str,
    settings: tuple[tuple[str, str], ...],
    moved: float,
    rng: random.Random,
    placements: int,
    before: int,
    changed: bool,
) -> list[Any]:
    fixed = random.Random(family)
    seconds, rounds = math.exp(fixed.uniform(math.log(2e-6), math.log(0.2))), fixed.randint(5, 20)
    shared = [[rng.gauss(0, DRIFT) for _ in range(rounds)] for _ in range(placements)]
    cases, blocks = [], []
    for place, (mode, precision) in enumerate(settings):
        cases.append(_case(family, mode, precision, place == 0))
        factor = moved * math.exp(fixed.uniform(-1, 0.2) * (place > 0) + rng.gauss(0, QUIET))
        factor *= SLOWER if changed and (before + place) % SLOWER_EVERY == 5 else 1.0
        blocks.append(
            [
                [
                    float(f"{seconds * factor * math.exp(drift + own + abs(rng.gauss(0, WITHIN))):.6g}")
                    for drift in rounds
                ]
                for rounds, own in ((rounds, rng.gauss(0, QUIET)) for rounds in shared)
            ]
        )
    found = []
    for place, case in enumerate(cases):
        held = [speedup_record("reference", case, cases[0], speedup(blocks[0], blocks[place]))] if place else []
        made = benchmark_of(case, blocks[place], held, {"flops": 1e6, "bytes": 4e6}, rng)
        record = made["extra_info"][KEY]
        share = round(100 * abs(rng.gauss(0, 0.04)))
        causes = [CAUSE.format(share=share)] if share > 5 else []
        record["noise"] = {
            "grade": "noisy" if causes else "quiet",
            "causes": causes,
            "figures": {
                "interrupted": 0.0175,
                "others": 0.01,
                "steal": 0.0084,
                "drift": round(abs(rng.gauss(0, 0.1)), 3),
            },
        }
        record["timing"]["disturbed"] = [int(rng.random() < 0.1) for _ in range(placements)]
        record["peak_bytes"] = 4096 * fixed.randint(1, 10_000)
        found.append(made)
    return found


def _case(family: str, mode: str, precision: str, reference: bool) -> dict[str, Any]:
    named, _, size = family.removesuffix("]").partition("[")
    suite, _, workload = named.partition(".")
    return {
        **{"id": f"{family} cpu {mode} {precision}", "family": family, "suite": suite, "workload": workload},
        **{"about": f"{workload} of {suite}", "size": {"n": int(size.removeprefix("n="))}, "size_label": size},
        **{"implementation": workload, "device": "cpu", "mode": mode, "precision": precision, "reference": reference},
    }


if __name__ == "__main__":
    number, seed, path = sys.argv[1:]
    with Path(path).open("w", encoding="utf-8") as file:
        json.dump(make_many(int(number), int(seed), changed=int(seed) > 1), file, separators=(",", ":"))
