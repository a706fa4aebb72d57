"""Sizes by kind of device: which families there are, what they are compared with, and where float64 is computed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.bench.test_machine import CPU_ONLY, HOPPER, with_gpus
from torchduet import Axis, Cost, Suite
from torchduet.bench.cases.case import Family, cases_of, group
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.host.machine import Machine
from torchduet.bench.plan import case_globs
from torchduet.bench.plan.budget import call_seconds
from torchduet.bench.plan.options import Options
from torchduet.bench.plan.selection import Selection
from torchduet.bench.plan.too_slow import TooSlow
from torchduet.bench.timing.checking import reference as references
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.place import MAX_FLOPS, float64_device
from torchduet.bench.timing.checking.reference import reference_result
from torchduet.bench.timing.checking.results import results_of
from torchduet.bench.timing.device import CpuDevice
from torchduet.suites.registry import give, load, names, withdraw
from torchduet.suites.workload import Workload

BOTH, ONLY = ("cpu", "cuda"), ("cuda",)
GPU = Axis(quick=[2048], default=[8192])


def products(**details: Any) -> Suite:
    suite = Suite("demo")
    details = {"axes": {"n": Axis(quick=[64], default=[512, 2048], full=[4096], on={"cuda": GPU})}} | details
    suite.compare(
        "product",
        {"mm": torch.mm, "matmul": torch.matmul},
        inputs=lambda device, n: (torch.randn(n, n, device=device), torch.randn(n, n, device=device)),
        modes=["eager"],
        cost=lambda n: Cost(flops=2.0 * n**3),
        **details,
    )
    return suite


def vector(device: torch.device, n: int) -> tuple[torch.Tensor]:
    return (torch.ones(n, device=device),)


def rows(device: torch.device, n: int, batch: int) -> tuple[torch.Tensor]:
    return (torch.ones(batch, n, device=device),)


def families(devices: Sequence[str], tier: str = "default", suite: Suite | None = None) -> dict[str, Family]:
    found = group(cases_of("demo", suite or products(), tier=tier, devices=devices))
    return {family.name.removeprefix("demo.product"): family for family in found}


def devices_of(family: Family) -> set[str]:
    return {case.device for case in family.cases}


def test_a_device_alone_measures_its_own_sizes() -> None:
    assert [*families(ONLY)] == ["[n=2048]", "[n=8192]"]
    assert [*families(ONLY, "quick")] == ["[n=2048]"]
    assert [*families(["cpu"])] == ["[n=64]", "[n=512]", "[n=2048]"]
    assert [*families(["cuda:1"])] == ["[n=2048]", "[n=8192]"]
    assert [*families(["xpu"])] == ["[n=64]", "[n=512]", "[n=2048]"]  # it has none of its own


def test_beside_the_cpu_it_measures_the_cpus_sizes_too_so_that_devices_are_compared() -> None:
    found = families(BOTH)
    assert [*found] == ["[n=64]", "[n=512]", "[n=2048]", "[n=8192]"]
    assert [devices_of(family) for family in found.values()] == [{"cpu", "cuda"}] * 3 + [{"cuda"}]
    quick = families(BOTH, "quick")
    assert [devices_of(family) for family in quick.values()] == [{"cpu", "cuda"}, {"cuda"}]  # 2048 is the GPU's alone


def test_at_a_size_that_only_a_gpu_measures_its_eager_case_is_the_reference() -> None:
    found = families(BOTH)
    assert found["[n=2048]"].reference.id == "demo.product[n=2048] mm cpu eager fp32"
    reference = found["[n=8192]"].reference
    assert reference.id == "demo.product[n=8192] mm cuda eager fp32"
    other = next(case for case in found["[n=8192]"].cases if case != reference)
    assert [("reference", reference), ("implementation", reference)] == [*found["[n=8192]"].comparisons(other)]


def test_sizes_of_several_axes_are_those_of_one_device() -> None:
    axes = {"n": Axis(quick=[64], on={"accelerator": [4096]}), "batch": Axis(quick=[1], on={"cuda": [32]})}
    suite = Suite("demo")
    suite.compare(
        "product", {"f": torch.relu}, inputs=lambda device, n, batch: (torch.ones(batch, n, device=device),), axes=axes
    )
    assert [*families(BOTH, suite=suite)] == ["[n=64,batch=1]", "[n=4096,batch=32]"]
    assert [*families(["mps"], suite=suite)] == ["[n=4096,batch=1]"]


def selection(machine: Machine, claims_only: bool = False, **options: Any) -> Selection:
    usual = Options(
        tier="default", asked={}, suites=("matmul",), data=None, threads=None, budget_seconds=540.0, cases=()
    )
    return Selection(replace(usual, **options), machine, claims_only)


def named(chosen: Selection, workload: str = "square") -> dict[str, Family]:
    cases = [case for _, case in chosen.cases("matmul") if case.workload == workload]
    return {family.name: family for family in chosen.families(cases)}


def test_the_products_of_a_gpu_reach_8192_by_default() -> None:
    """The plan alone: nothing is computed."""
    asked = {"device": ("cuda",)}
    found = named(selection(with_gpus(HOPPER), tier="default", asked=asked))
    assert "matmul.square[n=8192]" in found
    assert "matmul.square[n=64]" not in found
    family = found["matmul.square[n=8192]"]
    assert devices_of(family) == {"cuda"}
    assert {"fp32", "tf32", "bf16", "fp16", "bf16-pure"} == {case.precision for case in family.cases}
    assert family.reference.id == "matmul.square[n=8192] cuda eager fp32"
    both = named(selection(with_gpus(HOPPER), tier="default"))
    assert {"matmul.square[n=64]", "matmul.square[n=8192]"} <= set(both)
    assert "matmul.square[n=8192]" not in named(selection(CPU_ONLY, tier="default"))


def test_globs_name_them_and_say_in_which_tier_they_are() -> None:
    asked = {"device": ("cuda",)}
    quick = selection(with_gpus(HOPPER), tier="quick", asked=asked)
    assert quick.tier_with("matmul.square[n=16384] cuda*") == "full"
    ids = [case.id for family in named(quick).values() for case in family.cases]
    assert any(case_globs.matches("matmul.square[n=4096] cuda eager bf16", each) for each in ids)


def test_a_claim_that_states_its_size_is_decided_at_that_size_on_both_devices() -> None:
    found = named(selection(with_gpus(HOPPER), claims_only=True, tier="quick"))
    assert devices_of(found["matmul.square[n=10000]"]) == {"cpu", "cuda"}


def test_a_case_too_slow_at_a_smaller_size_is_skipped_at_a_size_of_the_gpus() -> None:
    found = families(ONLY)
    slow = next(case for case in found["[n=2048]"].cases if case.implementation == "matmul")
    too_slow = TooSlow()
    too_slow.add([CaseResult(slow, too_slow=3.0)])
    kept, skipped = too_slow.split(found["[n=8192]"])
    assert [case.implementation for case in kept.cases] == ["mm"]
    assert [case.size_label for case in skipped] == ["n=8192"]


@pytest.fixture
def given() -> Any:
    yield lambda suite: give("demo", [suite])
    withdraw("demo")


def test_what_a_call_takes_on_a_cpu_is_not_set_aside_for_a_gpu(given: Any) -> None:
    suite = products(call_seconds=lambda n, device: n / 1024 if device == "cpu" else 0.0)
    given(suite)
    found = families(BOTH, suite=suite)
    assert call_seconds([*found.values()]) == {
        "demo.product[n=64]": 1 / 16,
        "demo.product[n=512]": 0.5,
        "demo.product[n=2048]": 2.0,
        "demo.product[n=8192]": 0.0,
    }


# --- where float64 is computed


def where(suite: Suite, devices: Sequence[str], label: str) -> str:
    return float64_device(suite.workloads["product"], families(devices, "full", suite)[label])


def test_a_gpu_computes_float64_only_where_the_cpu_would_take_long() -> None:
    suite = products(axes={"n": Axis(quick=[64, 10_000], on={"cuda": [1024, 8192], "mps": [8192]})})
    assert where(suite, BOTH, "[n=10000]") == ""  # the family has cases of the CPU
    assert where(suite, ONLY, "[n=8192]") == "cuda"
    assert where(suite, BOTH, "[n=8192]") == "cuda"
    assert where(suite, ["cuda:1"], "[n=8192]") == "cuda:1"
    assert 2 * 1024**3 < MAX_FLOPS < 2 * 8192**3
    assert where(suite, ONLY, "[n=1024]") == ""
    assert where(suite, ["mps"], "[n=8192]") == ""  # it has no float64


@pytest.mark.parametrize(
    ("cost", "place"),
    [
        (None, "cuda"),
        (lambda n: Cost(samples=n), "cuda"),
        (lambda n: Cost(bytes=n * 1e6), "cuda"),
        (lambda n: Cost(bytes=n * 1e4), ""),
        (lambda n: Cost(flops=1e9, bytes=n * 1e6), "cuda"),
    ],
)
def test_without_known_operations_the_size_or_the_bytes_decide(cost: Any, place: str) -> None:
    suite = Suite("demo")
    axes = {"n": Axis(quick=[64], on={"cuda": [8192]})}
    suite.compare("product", {"f": torch.relu}, inputs=vector, axes=axes, cost=cost)
    assert where(suite, ONLY, "[n=8192]") == place
    without = Suite("demo")
    without.compare("product", {"f": torch.relu}, inputs=vector, axes={"n": [64]})
    assert where(without, ONLY, "[n=64]") == ""


class Memory(CpuDevice):
    """A GPU in the host's memory that counts how often its cache is emptied."""

    emptied = 0

    @property
    def torch_device(self) -> torch.device:
        return torch.device("cpu")

    def allocator(self) -> Any:
        return self

    def empty_cache(self) -> None:
        self.emptied += 1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Memory:
    device = Memory("cuda")
    monkeypatch.setattr(references, "device_of", lambda name: device if name == "cuda" else CpuDevice(name))
    return device


def product_and_inputs() -> tuple[Workload, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    return products().workloads["product"], (torch.randn(8, 8), torch.randn(8, 8))


def test_the_record_names_the_device_that_computed_float64(gpu: Memory) -> None:
    workload, inputs = product_and_inputs()
    dtypes: list[torch.dtype] = []

    def wide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        dtypes.append(a.dtype)
        return a @ b

    def on_cpu(*_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the CPU computed it, too")

    reference = reference_result(workload, inputs, on_cpu, torch.mm, on_device=("cuda", wide))
    record = check(workload, "fp32", results_of(inputs[0] @ inputs[1]), reference)
    assert record["float64_on"] == "cuda"
    assert "held_against" not in record
    assert record["relative_error"] is not None
    assert dtypes == [torch.float64]
    assert gpu.emptied == 1
    usual = check(workload, "fp32", results_of(inputs[0] @ inputs[1]), reference_result(workload, inputs, torch.mm))
    assert "float64_on" not in usual


def test_where_its_memory_does_not_suffice_the_cpu_computes_float64(gpu: Memory) -> None:
    workload, inputs = product_and_inputs()
    tried: list[str] = []

    def too_large(*_: torch.Tensor) -> torch.Tensor:
        tried.append("cuda")
        raise torch.OutOfMemoryError("CUDA out of memory")

    reference = reference_result(workload, inputs, torch.mm, torch.mm, on_device=("cuda", too_large))
    assert (reference.held_against, reference.device) == ("float64", "")
    assert reference.again is not None
    reference.again(1, contextlib.nullcontext())
    assert tried == ["cuda"]  # not for each of its repetitions
    assert gpu.emptied == 1


@pytest.mark.parametrize(("tier", "most"), [("quick", 24), ("default", 140)])
def test_a_gpu_alone_has_few_families_and_all_of_them_are_large_enough_to_measure_it(tier: str, most: int) -> None:
    """``nox -s bench-cuda`` measures these within 45 minutes."""
    found = [
        family
        for source in names()
        for suite in load(source)
        for family in group(cases_of(source, suite, tier=tier, devices=ONLY))
    ]
    assert 0.7 * most < len(found) <= most
    with_long_products = [family for family in found if family.reference.suite in ("matmul", "attention")]
    assert all(largest(family) >= 1024 for family in with_long_products)


def largest(family: Family) -> float:
    return max(float(value) for _, value in family.reference.size)


def test_attention_is_measured_in_bf16_on_a_gpu_by_default() -> None:
    (suite,) = load("attention")
    found = [case for case, _ in cases_of("attention", suite, tier="default", devices=BOTH)]
    bf16 = {
        (case.device, case.size_label) for case in found if case.precision == "bf16" and case.workload == "attention"
    }
    assert ("cuda", "length=4096") in bf16
    assert {device for device, _ in bf16} == {"cuda"}  # on the CPU it is in the tier full, as before
