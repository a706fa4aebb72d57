"""Pure precisions: what is converted, what they are held against, how exact they must be, what is said of failures."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.bench.measured import checked, families_of
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.updates import Updates
from torchduet.bench.passes.ceilings import matrix_product
from torchduet.bench.record.knobs import BY_NAME
from torchduet.bench.run.records import cost_record
from torchduet.bench.timing.checking.exactness import allowed, computes_in, unit_roundoff
from torchduet.bench.timing.conversions import converted
from torchduet.bench.timing.failures import lacking
from torchduet.bench.timing.precision import TOLERANCE, autocast_factory, scaler_for
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Cost, Unavailable, Workload

FP32 = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
PURE = replace(FP32, precision="bf16-pure")
TWO = 'precisions=("fp32", "bf16", "bf16-pure")'


def of(precision: str) -> Case:
    return replace(FP32, precision=precision)


def workload(**details: object) -> Workload:
    return Suite("s").compare("w", {"w": torch.neg}, inputs=lambda device: (torch.ones(3, device=device),), **details)  # type: ignore[arg-type]


def trained() -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor, torch.Tensor]:
    """A recurrent network after a step of Adam, its inputs, and whole numbers."""
    model = nn.LSTM(4, 4)
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.randn(5, 2, 4)
    model(x)[0].sum().backward()
    optimizer.step()
    return model, optimizer, x, torch.arange(3)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16-pure", torch.bfloat16), ("fp16-pure", torch.float16)])
def test_everything_real_is_converted_in_a_copy_and_optimisers_go_on_counting(
    precision: str, dtype: torch.dtype
) -> None:
    own = trained()
    model, optimizer, x, y = converted(own, of(precision))
    parameters = list(model.parameters())
    assert {parameter.dtype for parameter in parameters} == {x.dtype} == {dtype}
    assert {parameter.grad.dtype for parameter in parameters} == {dtype}
    state = optimizer.state[parameters[0]]
    assert {name: value.dtype for name, value in state.items()} == {
        "step": torch.float32,
        "exp_avg": dtype,
        "exp_avg_sq": dtype,
    }
    assert optimizer.param_groups[0]["params"][0] is parameters[0]
    assert torch.equal(x, own[2].to(dtype))  # the same values, rounded
    assert y.dtype == torch.int64
    assert own[2].dtype == next(own[0].parameters()).dtype == torch.float32
    model(x)[0].sum().backward()
    optimizer.step()
    assert float(state["step"]) == 2.0


def test_views_of_one_buffer_remain_views_of_one_buffer() -> None:
    buffer = torch.randn(10)
    first, second = converted((buffer[:5], buffer[3:]), PURE)
    first.fill_(7.0)
    assert first.dtype == torch.bfloat16
    assert torch.equal(second[:2], torch.full((2,), 7.0, dtype=torch.bfloat16))


def test_numbers_of_float8_keep_their_scale_and_complex_ones_their_type() -> None:
    small, turned, x = converted((torch.ones(2).to(torch.float8_e4m3fn), torch.ones(2) * 1j, torch.ones(2)), PURE)
    assert (small.dtype, turned.dtype, x.dtype) == (torch.float8_e4m3fn, torch.complex64, torch.bfloat16)


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ((torch.arange(3),), "no tensor among its inputs holds real numbers: bf16-pure would change nothing"),
        ((torch.ones(3).bfloat16(),), "its tensors are bfloat16 already: bf16-pure would change nothing"),
    ],
)
def test_where_there_is_nothing_to_convert_the_case_is_skipped(inputs: tuple[torch.Tensor, ...], why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        converted(inputs, PURE)


def test_fresh_memory_keeps_type_and_values() -> None:
    own = trained()
    in_bf16 = converted(own, PURE)
    placements = Placements(own, random.Random(0))
    placements.add(in_bf16)
    x = in_bf16[2]
    before, values = x.data_ptr(), x.clone()
    x.add_(1)
    placements.fresh()
    assert x.data_ptr() != before
    assert x.dtype == torch.bfloat16
    assert torch.equal(x, values)


def test_there_is_neither_autocast_nor_a_scaler() -> None:
    x = torch.ones(2, 2)
    with autocast_factory("bf16-pure", "cpu")():
        assert (x @ x).dtype == torch.float32
    assert scaler_for("fp16-pure", "cuda") is None


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_the_tolerance_is_autocasts_times_the_root_of_two(autocast: str) -> None:
    pure = f"{autocast}-pure"
    dtype = computes_in(pure, torch.float64)  # a model in float64 is converted, too
    assert dtype == computes_in(autocast, torch.float32)
    assert unit_roundoff(pure, dtype) == unit_roundoff(autocast, dtype)
    assert allowed(workload(), "w", pure, dtype) == TOLERANCE[pure] == math.sqrt(2) * TOLERANCE[autocast]
    assert allowed(workload(tolerance={autocast: 0.1}), "w", pure, dtype) == pytest.approx(0.1 * math.sqrt(2))
    assert allowed(workload(tolerance={"w": {autocast: 0.1}}), "w", pure, dtype) == pytest.approx(0.1 * math.sqrt(2))
    assert allowed(workload(tolerance={autocast: 0.1, pure: 0.3}), "w", pure, dtype) == 0.3
    assert allowed(workload(tolerance={"w": 0.2}), "w", pure, dtype) == 0.2
    assert allowed(workload(tolerance={autocast: 1e-4}), "w", pure, dtype) == TOLERANCE[pure]


def test_it_is_held_against_fp32_and_against_autocast() -> None:
    compiled = replace(PURE, mode="compile")
    cases = (FP32, of("bf16"), PURE, replace(FP32, mode="compile"), compiled)
    family = Family(cases, cases)
    assert list(family.comparisons(PURE)) == [("reference", FP32), ("precision", FP32), ("precision", of("bf16"))]
    assert list(family.comparisons(of("bf16"))) == [("reference", FP32), ("precision", FP32)]
    assert list(family.comparisons(compiled)) == [
        ("reference", FP32),
        ("mode", PURE),
        ("precision", replace(FP32, mode="compile")),
    ]


def test_an_answer_names_what_it_is_instead_of() -> None:
    titled = BY_NAME["precision"].titled
    assert titled("bf16-pure", "fp32") == "pure bf16"
    assert titled("bf16-pure", "bf16") == "pure bf16 instead of autocast"
    assert titled("bf16", "fp32") == "bf16 autocast"
    assert titled("tf32", "fp32") == "TF32"


def test_it_moves_half_the_bytes_and_makes_the_same_operations() -> None:
    of_three = workload(cost=lambda: Cost(flops=3, bytes=24, samples=2))
    assert cost_record(of_three, FP32)[0] == {"flops": 3.0, "bytes": 24.0, "samples": 2}
    assert cost_record(of_three, PURE)[0] == {"flops": 3.0, "bytes": 12.0, "samples": 2}


def test_the_ceiling_of_a_number_format_is_measured_in_it() -> None:
    assert matrix_product("cpu", "bf16", 0.001) > 0


def test_what_rounding_the_inputs_does_is_allowed_for(tmp_path: Path) -> None:
    """The difference of neighbouring values consists of their rounding; positions of the largest are ties."""
    results = checked(
        tmp_path,
        f"""
@suite.workload(inputs=lambda device: (torch.rand(64) + 100,), {TWO}, **EAGER)
def differences(x):
    return x.diff(), x.argmax()

@suite.workload(inputs=lambda device: (torch.randn(64, 64), torch.randn(64, 64)), {TWO}, **EAGER)
def product(x, y):
    return x @ y
""",
    )
    assert {result.error for result in results.values()} == {None}
    pure = results["differences eager bf16-pure"].check
    assert pure is not None
    assert pure["scale"] == "rounding"
    exact = results["product eager bf16-pure"].check
    assert exact is not None
    assert exact["relative_error"] is not None
    assert 0 < exact["relative_error"] < 2.0**-8
    assert exact["tolerance"] == TOLERANCE["bf16-pure"]


def test_a_wrong_result_is_still_found(tmp_path: Path) -> None:
    results = checked(
        tmp_path,
        f"""
def wrong(x, y):
    return (x @ y) * (1 if x.dtype != torch.bfloat16 else 1.1)

suite.compare("w", {{"right": torch.mm, "wrong": wrong}}, {TWO}, **EAGER,
              inputs=lambda device: (torch.randn(64, 64), torch.randn(64, 64)))
""",
    )
    wrong = [name for name, result in results.items() if result.error and "its result is wrong" in result.error]
    assert wrong == ["w wrong eager bf16-pure"]


def test_code_that_cannot_run_in_it_is_skipped_and_says_what_to_do(tmp_path: Path) -> None:
    results = checked(
        tmp_path,
        f"""
@suite.workload(inputs=lambda device: (torch.randn(4, 4),), {TWO}, **EAGER)
def mixes(x):
    return x @ torch.eye(4)

@suite.workload(inputs=lambda device: (torch.randn(4, 4),), {TWO}, **EAGER)
def decomposes(x):
    return torch.linalg.svdvals(x)

@suite.workload(inputs=lambda device: (torch.arange(4),), {TWO}, **EAGER)
def counts(x):
    return x.sum()
""",
    )
    assert {result.error for result in results.values()} == {None}
    skipped = {name: result.skip for name, result in results.items() if "pure" in name}
    assert "tensors of another type that it creates" in str(skipped["mixes eager bf16-pure"])
    assert "torch.zeros_like(x)" in str(skipped["mixes eager bf16-pure"])
    assert "no kernel for an operation of it in bf16-pure" in str(skipped["decomposes eager bf16-pure"])
    assert "would change nothing" in str(skipped["counts eager bf16-pure"])
    assert not any(result.skip for name, result in results.items() if "fp32" in name)


def test_errors_of_the_code_itself_are_no_lack_of_a_precision() -> None:
    missing = NotImplementedError("\"linalg_svd_cpu\" not implemented for 'BFloat16'")
    assert lacking(missing, "bf16-pure")
    assert lacking(missing, "bf16") is None
    assert lacking(RuntimeError("Quantize only works on Float Tensor, got BFloat16"), "bf16-pure")
    assert lacking(RuntimeError("shapes cannot be multiplied (2x3 and 2x3)"), "bf16-pure") is None
    assert lacking(ValueError("same dtype"), "bf16-pure") is None


def test_adam_in_fp16_is_named_where_its_epsilon_is_zero(tmp_path: Path) -> None:
    results = checked(
        tmp_path,
        """
def inputs(device):
    model = nn.Linear(4, 2)
    return model, torch.optim.Adam(model.parameters()), torch.rand(8, 4) * 1e-3

@suite.workload(inputs=inputs, precisions=("fp32", "fp16-pure"), observe=lambda i, r: list(i[0].parameters()), **EAGER)
def step(model, optimizer, x):
    optimizer.zero_grad()
    (model(x) * 1e-4).mean().backward()
    optimizer.step()
""",
    )
    assert "Adam's eps of 1e-8 is zero in fp16" in str(results["step eager fp16-pure"].error)


def test_inputs_made_anew_for_each_call_are_converted_for_each(tmp_path: Path) -> None:
    text = """
seen = set()

@suite.workload(inputs=lambda device: (torch.randn(4, 4),), precisions=("fp32", "bf16-pure"), fresh=True, **EAGER)
def product(x):
    return x @ x
"""
    from torchduet.bench.cases.exchange import Task
    from torchduet.bench.workers.family import Stages

    (family,) = families_of(tmp_path, text)
    stages = Stages(Task(family, 0.0, 1, str(tmp_path)), lambda _what, _fraction: None)
    stages.prepare_device("cpu", family.cases)
    for run in stages.runs:
        run.placements.append([run.block()])
        expected = torch.bfloat16 if run.prepared.case.precision == "bf16-pure" else torch.float32
        assert run.prepared.args[0].dtype == expected
    stages.still_computes()
    assert [run.error for run in stages.runs] == [None, None]


def test_updates_below_the_roundoff_are_counted_and_noted(tmp_path: Path) -> None:
    weight = torch.ones(4, requires_grad=True)
    watched = Updates((weight,))
    weight.grad = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert watched.lost() == 0.0  # nothing was updated at all
    with torch.no_grad():
        weight[0] = 2.0
    assert watched.lost() == pytest.approx(2 / 3)
    assert "67% of the parameters that have a gradient keep their value" in str(watched.note())
    results = checked(
        tmp_path,
        """
def inputs(device):
    model = nn.Linear(64, 64)
    return model, torch.optim.SGD(model.parameters(), lr=1e-5), torch.rand(8, 64)

@suite.workload(inputs=inputs, precisions=("fp32", "bf16", "bf16-pure"), observe=lambda i, r: list(i[0].parameters()),
                **EAGER)
def step(model, optimizer, x, autocast):
    optimizer.zero_grad()
    with autocast():
        loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
""",
    )
    noted = [name for name, result in results.items() if any("keep their value" in note for note in result.notes)]
    assert noted == ["step eager bf16-pure"]
