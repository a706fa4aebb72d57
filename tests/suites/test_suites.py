"""The built-in suites: every workload runs, its implementations agree, its costs are right."""

import functools
import math
import random
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.engine.case import cases_of
from bench.engine.check import check, observed, reference_result
from bench.engine.inputs import Placements
from bench.engine.prepare import in_precision, wants_autocast
from suites.registry import load, names
from suites.workload import Size, Workload

CPU = torch.device("cpu")


def smallest(tier: str = "default") -> Iterator[tuple[Workload, Size]]:
    """Every workload that runs on the CPU, at its smallest size."""
    for name in names():
        for workload in load(name)[0].workloads.values():
            if "cpu" in workload.devices:
                yield workload, next(workload.sizes(tier))


EVERY = [pytest.param(w, s, id=f"{w.suite}.{w.name}") for w, s in smallest()]


def quick_cases() -> list[tuple[str, str]]:
    return [
        (case.family, case.mode)
        for name in names()
        for suite in load(name)
        for case, _ in cases_of(name, suite, tier="quick", devices=["cpu"])
        if case.precision != "tf32"
    ]


@pytest.mark.parametrize(("workload", "size"), EVERY)
def test_every_implementation_agrees_with_float64(workload: Workload, size: Size) -> None:
    torch.manual_seed(0)
    inputs = tuple(workload.inputs(CPU, **size))
    placements = Placements(inputs, random.Random(0))
    first = next(iter(workload.implementations.values()))
    reference = reference_result(workload, inputs, in_precision(first, "fp32", "cpu"))
    for function in workload.implementations.values():
        placements.fresh()  # every implementation starts from the same values
        call = in_precision(function, "fp32", "cpu")
        check(workload, "fp32", observed(workload, inputs, call(*inputs)), reference)


@pytest.mark.parametrize(("workload", "size"), [p for p in EVERY if "bf16" in p.values[0].precisions.up_to("full")])
def test_bf16_is_within_its_tolerance(workload: Workload, size: Size) -> None:
    torch.manual_seed(0)
    inputs = tuple(workload.inputs(CPU, **size))
    first = next(iter(workload.implementations.values()))
    reference = reference_result(workload, inputs, in_precision(first, "fp32", "cpu"))
    result = in_precision(first, "bf16", "cpu")(*inputs)
    check(workload, "bf16", observed(workload, inputs, result), reference)


@pytest.mark.parametrize(
    ("workload", "size"), [p for p in EVERY if p.values[0].suite in ("matmul", "mlp") and p.values[0].cost]
)
def test_costs_are_what_pytorch_counts(workload: Workload, size: Size) -> None:
    if workload.name in ("vector", "dot"):
        pytest.skip("PyTorch's counter does not know mv and dot")
    inputs = tuple(workload.inputs(CPU, **size))
    function = next(iter(workload.implementations.values()))
    counter = FlopCounterMode(display=False)
    with counter:
        function(*inputs, **({"autocast": nullcontext} if wants_autocast(function) else {}))
    assert workload.cost is not None
    stated, counted = workload.cost(**size).flops, counter.get_total_flops()
    if workload.name.startswith("train"):
        # The gradient of the first layer's input is not needed: 3 × forward is what is quoted, a little more.
        assert counted <= stated <= 1.5 * counted
    else:
        assert stated == counted


@pytest.mark.parametrize("workload", [w for w, _ in smallest() if w.name.startswith("train")], ids=lambda w: w.name)
def test_training_steps_learn_and_stay_finite(workload: Workload) -> None:
    torch.manual_seed(0)
    inputs = workload.inputs(CPU, **next(workload.sizes("quick")))
    (function,) = workload.implementations.values()
    step = functools.partial(function, *inputs, autocast=nullcontext)
    first = float(step())
    for _ in range(300):
        last = float(step())
    assert math.isfinite(last)
    assert last < first


@pytest.mark.parametrize(
    ("workload", "size"),
    [p for p in EVERY if "compile" in p.values[0].modes.up_to("quick")],
)
def test_what_quick_compiles_can_be_traced(workload: Workload, size: Size) -> None:
    torch._dynamo.reset()
    inputs = tuple(workload.inputs(CPU, **size))
    for function in workload.implementations.values():
        extra = {"autocast": nullcontext} if wants_autocast(function) else {}
        torch.compile(function, backend="aot_eager")(*inputs, **extra)


def test_the_quick_tier_is_worth_reading_and_quick() -> None:
    cases = quick_cases()
    assert len(cases) >= 40
    assert len({family.split(".")[0] for family, _ in cases}) == len(names()) == 4
    assert sum(mode != "eager" for _, mode in cases) <= 12  # each costs seconds of compilation


def test_every_tier_includes_the_one_before() -> None:
    for name in names():
        (suite,) = load(name)
        for workload in suite.workloads.values():
            assert workload.about
            quick, full = (list(workload.sizes(tier)) for tier in ("quick", "full"))
            assert all(size in full for size in quick)
            assert full
