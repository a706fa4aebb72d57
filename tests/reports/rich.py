"""A run with everything that not every case has: workers, meters, operators, peaks of memory, ceilings.

As in ``sample``, nothing is measured: names and magnitudes are plausible, the file's form is exact.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any

from tests.reports.in_visits import in_visits
from tests.reports.made_once import made_once
from tests.reports.sample import benchmark_of, document_of, make_run, speedup_record
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import speedup

KNOBS = ("implementation", "device", "mode", "precision", "workers")
CORES = 2


def case(seconds: float, implementation: str = "", **more: Any) -> dict[str, Any]:
    """One case of a family: its time and what is said of it beside the plain settings."""
    plain = {"device": "cpu", "mode": "eager", "precision": "fp32"}
    return {"seconds": seconds, "implementation": implementation, **plain, **more}


def loading(workload: str, times: dict[int, float], first: dict[int, float]) -> tuple[Any, ...]:
    cases = [
        case(
            seconds,
            workload,
            workers=workers,
            meters={
                "first batch": ("s", first[workers]),
                "steady": ("s", seconds - first[workers]),
                "samples per second": ("1/s", 2000 / seconds),
            },
        )
        for workers, seconds in times.items()
    ]
    return "dataloader", workload, {"samples": 2000, "batch": 100}, {"samples": 2000}, cases


COMPILED = {"mode": "compile-model"}
TUNED = {"mode": "compile-model", "precision": "bf16"}


def step(name: str, seconds: float, epochs: int, accuracy: float, **settings: str) -> dict[str, Any]:
    meters = {"training epoch": ("s", seconds / epochs), "epochs": ("", epochs), "accuracy": ("", accuracy)}
    return case(seconds, name, meters=meters | {"reached": ("", 1)}, **settings)


# suite, workload, size, cost, cases (the reference first)
FAMILIES: list[tuple[Any, ...]] = [
    loading("epoch_images", {0: 0.9, 1: 0.7, 2: 0.5, 4: 0.56}, {0: 0.05, 1: 0.09, 2: 0.1, 4: 0.16}),
    loading("epoch_tensors", {0: 0.02, 1: 0.05, 2: 0.062, 4: 0.09}, {0: 0.001, 1: 0.04, 2: 0.045, 4: 0.07}),
    (
        "training",
        "to_accuracy",
        {"target": "stated"},
        {},
        [
            step("naive", 8.1, 7, 0.952),
            step("batch_1000", 3.3, 21, 0.951),
            step("workers", 3.9, 21, 0.951),
            step("compile", 3.2, 21, 0.951, **COMPILED),
            step("bf16", 3.21, 22, 0.9505, **TUNED),
            step("in_memory", 1.2, 21, 0.951),
        ],
    ),
    (
        "training",
        "epoch",
        {},
        {"samples": 1500},
        [case(1.1, "naive"), case(0.2, "bf16", **TUNED)],
    ),
    (
        "attention",
        "attention",
        {"length": 1024},
        {"flops": 4.3e9, "bytes": 8.4e6},
        [
            case(0.060, "by_hand", operators=5, peak_bytes=69_206_016),
            case(0.066, "einsum", operators=11, peak_bytes=69_206_016),
            case(0.031, "sdpa", operators=1, peak_bytes=4_194_304),
        ],
    ),
    (
        "export",
        "infer",
        {"batch": 1},
        {"flops": 1.6e5, "bytes": 3.2e5, "samples": 1},
        [
            case(4.1e-5, "eager", operators=5, meters={"size": ("bytes", 319_000)}, setup=2e-4),
            case(3.4e-5, "torchscript", meters={"size": ("bytes", 322_000)}, setup=0.03),
            case(5.2e-5, "torch_export", meters={"size": ("bytes", 340_000)}, setup=1.9),
            case(1.7e-5, "onnxruntime", meters={"size": ("bytes", 319_500)}, setup=0.61),
        ],
    ),
    (
        "tensor_ops",
        "tiny",
        {"n": 100},
        {"flops": 100.0, "bytes": 1200.0},
        [case(1.1e-6, "tiny", operators=1)],
    ),
    (
        "autograd",
        "forward",
        {"batch": 100},
        {"flops": 1.6e7, "samples": 100},
        [case(1.02e-4, "with_gradient", operators=5), case(1.0e-4, "no_grad", operators=5)],
    ),
]
CEILINGS = [
    {
        "device": "cpu",
        "flops_per_second": {"fp32": 1.0e11, "bf16": 0.6e11},
        "bytes_per_second": {"65536": 9e10, "8388608": 4e10, "268435456": 1.1e10},
        "operator_seconds": 6e-7,
    }
]


@made_once
def make_rich_run(seed: int = 3, placements: int = 12, rounds: int = 5) -> Any:
    """The plain run with the families above, ceilings, pilots and noise, and the time until first calls returned."""
    rng = random.Random(seed)
    added = [one for family in FAMILIES for one in _family(*family, rng, placements, rounds)]
    document = document_of(make_run(visits=0)["benchmarks"] + added)
    for one in document["benchmarks"]:
        record = one["extra_info"][KEY]
        record["first_call"].setdefault("returned", record["first_call"]["seconds"])
        if record["case"]["mode"] == "eager":
            record.setdefault("operators", 4)
    _disturb(document, rng)
    document[KEY].update(ceilings=CEILINGS, machine={**document[KEY]["machine"], "cores": CORES})
    return in_visits(document)


def _disturb(document: Any, rng: random.Random) -> None:
    """The machine ran at half speed for a quarter of the run: every fourth case was disturbed."""
    cause = "times drifted by 88 % from placement to placement, without any load on this machine: other tenants"
    for place, one in enumerate(document["benchmarks"]):
        record = one["extra_info"][KEY]
        causes = [cause] if place % 4 == 1 else []
        figures = {"others": 0.02, "interrupted": 0.01, "drift": 0.88 if causes else 0.02}
        record["noise"] = {"grade": "disturbed" if causes else "quiet", "causes": causes, "figures": figures}
        record["timing"]["disturbed"] = [int(rng.random() < 0.1) for _ in record["timing"]["blocks"]]
    pilots = []
    for place in range(12):
        slow = 1.9 if 4 <= place <= 6 else 1.0
        times = (("arithmetic", 6e-5 * slow), ("memory", 1.7e-3 * slow**0.4), ("calls", 3.5e-4 * slow))
        seconds = {kind: time * rng.uniform(1, 1.05) for kind, time in times}
        pilots.append({"at": 6.5 + 12.3 * place, "before": "tensor_ops.add[n=65536]", "seconds": seconds})
    document[KEY]["pilots"] = [*pilots[:-1], {**pilots[-1], "before": ""}]
    document[KEY]["noise"] = {
        "grade": "disturbed",
        "causes": [f"{cause} (at worst; in 4 of 17 families)", "the pilots moved by 97 % over the run"],
        "remedy": "a quieter hour, a longer --budget, or a machine without other tenants",
        "figures": {"pilots": 0.97},
    }


def _family(
    suite: str,
    workload: str,
    size: dict[str, Any],
    cost: dict[str, Any],
    variants: Sequence[dict[str, Any]],
    rng: random.Random,
    placements: int,
    rounds: int,
) -> list[Any]:
    shared = [[rng.gauss(0, 0.02) for _ in range(rounds)] for _ in range(placements)]
    blocks = [
        [
            [one["seconds"] * math.exp(drift + shift + abs(rng.gauss(0, 0.002))) for drift in place]
            for place, shift in ((place, rng.gauss(0, 0.004)) for place in shared)
        ]
        for one in variants
    ]
    cases = [_case(suite, workload, size, one, index == 0) for index, one in enumerate(variants)]
    found = []
    for index, one in enumerate(variants):
        differing = [knob for knob in KNOBS if one.get(knob) != variants[0].get(knob)]
        held = [
            speedup_record(knob, cases[index], cases[0], speedup(blocks[0], blocks[index]))
            for knob in (["reference", *differing] if len(differing) == 1 else ["reference"] * bool(differing))
        ]
        made = benchmark_of(cases[index], blocks[index], held, cost, rng)
        record = made["extra_info"][KEY]
        for key in ("operators", "peak_bytes"):
            if key in one:
                record[key] = one[key]
        if "setup" in one:
            record["first_call"]["setup"] = one["setup"]
        if "meters" in one:
            record["meters"] = {name: _meter(*meter, placements, rng) for name, meter in one["meters"].items()}
        found.append(made)
    return found


def _meter(unit: str, value: float, placements: int, rng: random.Random) -> dict[str, Any]:
    spread = 0.0 if isinstance(value, int) else 0.003
    values = [value * math.exp(rng.gauss(0, spread)) if spread else float(value) for _ in range(placements)]
    return {
        "unit": unit,
        "values": values,
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
    }


def _case(suite: str, workload: str, size: dict[str, Any], one: dict[str, Any], reference: bool) -> dict[str, Any]:
    label = ",".join(f"{axis}={value}" for axis, value in size.items())
    family = f"{suite}.{workload}[{label}]" if size else f"{suite}.{workload}"
    settings = {knob: one[knob] for knob in KNOBS if knob in one}
    named = [f"workers{value}" if knob == "workers" else value for knob, value in settings.items()]
    return {
        "id": " ".join([family, *named]),
        "family": family,
        "suite": suite,
        "workload": workload,
        "about": f"{workload} of {suite}",
        "size": size,
        "size_label": label,
        **settings,
        "reference": reference,
    }
