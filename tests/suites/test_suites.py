"""The built-in suites: every workload runs, its implementations agree, its costs are right."""

import itertools
import math
import random
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from torchduet.bench.cases.case import cases_of
from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.timing.callables import assemble, in_float64, over_sizes, timed_function
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.reference import reference_result
from torchduet.bench.timing.checking.results import observed
from torchduet.bench.timing.conversions import in_precision
from torchduet.bench.timing.failures import lacking
from torchduet.bench.timing.meter import Context
from torchduet.suites.registry import load, names
from torchduet.suites.workload import Implementation, Size, Unavailable, Workload

# TorchScript's deprecation is known: its cases are skipped where torch no longer has it.
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.\w+` is deprecated:DeprecationWarning")

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No workload reaches for another machine; test_offline.py tries more ways, and inputs of the default tier."""
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, lambda *given, **_: pytest.fail(f"reaches for the network: {given[0]}"))


def smallest(tier: str = "default") -> Iterator[tuple[Workload, Size]]:
    """Every workload that runs on the CPU, at its smallest size; some are there in the tier full only.

    Those of several processes are in tests of their own.
    """
    for name in names():
        for workload in load(name)[0].workloads.values():
            if "cpu" in workload.devices and workload.ranks is None:
                yield workload, next(itertools.chain(workload.sizes(tier), workload.sizes("full")))


def call(workload: Workload, inputs: Sequence[Any], precision: str = "fp32", name: str | None = None) -> Any:
    """One implementation's result, the first one's by default."""
    one = name or next(iter(workload.implementations))
    function = assemble(timed_function(workload, one, inputs), precision, "cpu", Context())
    return over_sizes(workload, function)(*inputs)


def on_cpu(one: Implementation, precision: str = "fp32") -> bool:
    return "cpu" in (one.devices or ("cpu",)) and precision in (one.precisions or (precision,))


ELEMENT_WISE = ("product_of_sum", "mean_square", "second_derivative")
EVERY = [pytest.param(w, s, id=f"{w.suite}.{w.name}") for w, s in smallest()]


def cases(tier: str) -> list[tuple[str, str]]:
    """Suite and mode of everything that two cores run at a tier."""
    return [
        (case.suite, case.mode)
        for name in names()
        for suite in load(name)
        for case, _ in cases_of(name, suite, tier=tier, devices=["cpu"])
        if case.precision not in ("tf32", "fp16") and case.mode not in ("graph", "reduce-overhead")  # a GPU's
        if (case.ranks or 1) <= 2
    ]


@pytest.mark.parametrize(("workload", "size"), EVERY)
def test_every_implementation_agrees_with_float64(workload: Workload, size: Size) -> None:
    torch.manual_seed(0)
    inputs = tuple(workload.inputs(CPU, **size))
    placements = Placements(inputs, random.Random(0))
    reference = reference_result(workload, inputs, in_float64(workload))
    missing = []
    for name, one in workload.implementations.items():
        if on_cpu(one):
            placements.fresh()  # every implementation starts from the same values
            try:
                result = call(workload, inputs, name=name)
            except Unavailable as reason:
                missing.append(str(reason))
                continue
            check(workload, "fp32", observed(workload, inputs, result), reference, name)
    if missing:
        pytest.skip("; ".join(dict.fromkeys(missing)))


@pytest.mark.parametrize(("workload", "size"), [p for p in EVERY if "bf16" in p.values[0].precisions.up_to("full")])
def test_bf16_is_within_its_tolerance(workload: Workload, size: Size) -> None:
    torch.manual_seed(0)
    inputs = tuple(workload.inputs(CPU, **size))
    reference = reference_result(workload, inputs, in_float64(workload))
    try:
        result = call(workload, inputs, "bf16")
    except RuntimeError as error:
        if why := lacking(error):
            pytest.skip(why)
        raise
    check(workload, "bf16", observed(workload, inputs, result), reference)


def checked_in(precision: str, workload: Workload, size: Size) -> None:
    """Check every implementation in a pure precision against float64."""
    torch.manual_seed(0)
    inputs = tuple(workload.inputs(CPU, **size))
    reference = reference_result(workload, inputs, in_float64(workload))
    for name, one in workload.implementations.items():
        if on_cpu(one, precision):
            own = in_precision(inputs, precision)
            try:
                result = call(workload, own, precision, name)
            except (Unavailable, RuntimeError) as error:
                if why := (isinstance(error, Unavailable) and str(error)) or lacking(error):
                    pytest.skip(why)
                raise
            check(workload, precision, observed(workload, own, result), reference, name)


@pytest.mark.parametrize(
    ("workload", "size"), [p for p in EVERY if "bf16-pure" in p.values[0].precisions.up_to("full")]
)
def test_pure_bf16_is_within_its_tolerance(workload: Workload, size: Size) -> None:
    checked_in("bf16-pure", workload, size)


INFERENCE = [
    p
    for p in EVERY
    if p.values[0].suite in ("mlp", "convnet", "vision", "recurrent")
    and "fp16-pure" in p.values[0].precisions.everywhere()
]


@pytest.mark.parametrize(("workload", "size"), INFERENCE)
def test_pure_fp16_of_inference_is_within_its_tolerance(workload: Workload, size: Size) -> None:
    """It is declared on GPUs; here a CPU computes it, at the smallest size."""
    checked_in("fp16-pure", workload, size)


def test_pure_bf16_is_declared_where_people_use_it() -> None:
    """All products, perceptrons and convolutional networks that have autocast, and some workloads of other suites."""
    declared = Counter(w.suite for w, _ in smallest("full") if "bf16-pure" in w.precisions.everywhere())
    every = Counter(w.suite for w, _ in smallest("full") if "bf16" in w.precisions.everywhere())
    assert all(declared[suite] >= every[suite] for suite in ("matmul", "mlp", "convnet"))
    assert declared.keys() >= {
        "matmul",
        "mlp",
        "convnet",
        "vision",
        "transformers",
        "recurrent",
        "einsum",
        "tensor_ops",
    }


# What PyTorch's counter knows: products, convolutions, attention.
COUNTED = [
    pytest.param(workload, size, id=f"{workload.suite}.{workload.name}")
    for workload, size in smallest()
    if workload.cost
    and workload.cost(**size).flops
    and workload.suite in ("matmul", "mlp", "autograd", "convnet", "attention", "export")
    and workload.name not in ("vector", "vector_spelling", "dot", *ELEMENT_WISE)
]


@pytest.mark.parametrize(("workload", "size"), COUNTED)
def test_costs_are_what_pytorch_counts(workload: Workload, size: Size) -> None:
    inputs = tuple(workload.inputs(CPU, **size))
    counter = FlopCounterMode(display=False)
    name = "by_hand" if "by_hand" in workload.implementations else None  # the counter has no fused attention of the CPU
    with counter:
        call(workload, inputs, name=name)
    assert workload.cost is not None
    stated, counted = workload.cost(**size).flops, counter.get_total_flops()
    assert stated is not None
    if workload.name.startswith("causal"):
        # By hand, the pairs that the mask hides are computed, too: all but the diagonal's half of the square.
        assert counted / 2 < stated < 0.52 * counted
    else:
        assert stated == counted


@pytest.mark.parametrize("workload", [w for n, w in load("mlp")[0].workloads.items() if n.startswith("train")])
def test_training_steps_learn_and_stay_finite(workload: Workload) -> None:
    torch.manual_seed(0)
    inputs = workload.inputs(CPU, **next(itertools.chain(workload.sizes("default"), workload.sizes("full"))))
    first = float(call(workload, inputs))
    for _ in range(40 if "4096" not in workload.name else 10):  # of a network for GPUs, few
        last = float(call(workload, inputs))
    assert math.isfinite(last)
    assert last < first


TRAINED = [w for name in ("convnet", "vision") for w in load(name)[0].workloads.values() if w.name.startswith("train")]


@pytest.mark.parametrize("workload", TRAINED, ids=lambda workload: workload.name)
def test_no_training_diverges_while_it_is_timed(workload: Workload) -> None:
    """Steps are not put back between blocks: a run makes hundreds of them."""
    torch.manual_seed(0)
    inputs = workload.inputs(CPU, **next(itertools.chain(workload.sizes("default"), workload.sizes("full"))))
    for _ in range(40):
        last = call(workload, inputs)
    assert all(torch.isfinite(value).all() for value in tensors_in(last))


@pytest.mark.parametrize(
    ("workload", "size"),
    [p for p in EVERY if "compile" in p.values[0].modes.up_to("quick")],
)
def test_what_quick_compiles_can_be_traced(workload: Workload, size: Size) -> None:
    torch._dynamo.reset()
    inputs = tuple(workload.inputs(CPU, **size))
    for name, one in workload.implementations.items():
        if "compile" in (one.modes or ("compile",)):
            step = assemble(timed_function(workload, name, inputs), "fp32", "cpu")
            torch.compile(step, backend="aot_eager")(*inputs)


def test_the_quick_tier_is_worth_reading_and_quick() -> None:
    quick = cases("quick")
    assert 50 <= len(quick) <= 70  # all of it in about 90 s on 2 cores
    assert len({suite for suite, _ in quick}) >= 8
    assert sum(mode != "eager" for _, mode in quick) <= 10  # each costs seconds of compilation


def test_the_default_tier_takes_minutes() -> None:
    default = cases("default")
    assert len(default) <= 500  # all of it in 13 minutes on 2 cores
    assert sum(mode != "eager" for _, mode in default) <= 70


def test_every_tier_includes_the_one_before() -> None:
    for name in names():
        (suite,) = load(name)
        for workload in suite.workloads.values():
            assert workload.about
            quick, full = (list(workload.sizes(tier)) for tier in ("quick", "full"))
            assert all(size in full for size in quick)
            assert full
