"""The check against float64 lets right results pass and nothing else."""

import math

import pytest
import torch

from torchduet.bench.record.schema import CheckRecord
from torchduet.bench.timing.checking import check as checking
from torchduet.bench.timing.checking.compare import relative_error
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.reference import Reference, reference_result
from torchduet.bench.timing.checking.results import observed, results_of
from torchduet.bench.timing.precision import TOLERANCE
from torchduet.suites import Suite, Workload


def workload(**details: object) -> Workload:
    return Suite("demo").compare("w", {"w": lambda a, b: a @ b}, inputs=lambda _: (), **details)  # type: ignore[arg-type]


def check(workload: Workload, precision: str, result: list[torch.Tensor], expected: list[torch.Tensor]) -> CheckRecord:
    return checking.check(workload, precision, results_of(result), Reference(results_of(expected)))


def round_mantissa(x: torch.Tensor, bits: int) -> torch.Tensor:
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.round(mantissa * 2 ** (bits + 1)) / 2 ** (bits + 1), exponent)


@pytest.mark.parametrize("n", [64, 512])
def test_fp32_products_pass_and_tf32_products_fail_as_fp32(n: int) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(n, n), torch.randn(n, n)
    reference = a.double() @ b.double()
    exact = relative_error(a @ b, reference)
    tf32 = relative_error(round_mantissa(a, 10) @ round_mantissa(b, 10), reference)
    bf16 = relative_error((a.bfloat16() @ b.bfloat16()), reference)
    assert exact < TOLERANCE["fp32"] < tf32 < TOLERANCE["tf32"]
    assert TOLERANCE["fp32"] < bf16 < TOLERANCE["bf16"]


def test_wrong_nan_and_misshapen_results_are_refused() -> None:
    good = [torch.ones(3)]
    assert check(workload(), "fp32", good, good)["relative_error"] == 0
    with pytest.raises(CheckError, match=r"relative error 1\.00e-03 .*2e-05 is allowed in fp32"):
        check(workload(), "fp32", [torch.full((3,), 1.001)], good)
    with pytest.raises(CheckError, match="NaN"):
        check(workload(), "fp32", [torch.full((3,), math.nan)], good)
    with pytest.raises(CheckError, match="shapes"):
        check(workload(), "fp32", [torch.ones(1, 3)], good)
    with pytest.raises(CheckError):
        check(workload(), "fp32", [torch.full((3,), math.inf)], good)


def test_random_results_are_held_to_their_shape_only() -> None:
    record = check(workload(deterministic=False), "fp32", [torch.zeros(3)], [torch.ones(3)])
    assert record == {"what": "shapes", "relative_error": None, "tolerance": None}


def test_a_workloads_own_tolerance_counts() -> None:
    loose = workload(tolerance={"bf16": 0.5})
    assert check(loose, "bf16", [torch.tensor(1.4)], [torch.tensor(1.0)])["tolerance"] == 0.5


def test_a_result_without_tensors_is_refused() -> None:
    with pytest.raises(CheckError, match="nothing to check"):
        observed(workload(), (), None)


def test_a_reference_that_is_not_finite_is_refused() -> None:
    with pytest.raises(CheckError, match="not finite even in float64"):
        reference_result(workload(), (torch.zeros(1),), lambda x: x / 0)


def test_the_reference_leaves_the_inputs_and_the_default_dtype_alone() -> None:
    x = torch.ones(2)
    tensor = reference_result(workload(), (x,), lambda x: x.mul_(2) + torch.ones(2)).results["result"].value
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert x.tolist() == [1, 1]


def test_random_results_must_be_finite_and_of_the_same_kind() -> None:
    random_result = workload(deterministic=False)
    good = [torch.ones(3, dtype=torch.float64)]
    assert check(random_result, "fp32", [torch.zeros(3)], good)["what"] == "shapes"
    with pytest.raises(CheckError, match="infinity"):
        check(random_result, "fp32", [torch.full((3,), math.inf)], good)
    with pytest.raises(CheckError, match=r"whole values in result\[0\], the float64 reference real values"):
        check(random_result, "fp32", [torch.ones(3, dtype=torch.int64)], good)


def test_complex_results_are_looked_into() -> None:
    good = [torch.ones(1), torch.ones(3, dtype=torch.complex128)]
    bad = [torch.ones(1), torch.full((3,), complex(math.nan, 0))]
    with pytest.raises(CheckError, match="NaN"):
        check(workload(), "fp32", bad, good)
    with pytest.raises(CheckError, match=r"real values in result\[1\], the float64 reference complex values"):
        check(workload(), "fp32", [torch.ones(1), torch.ones(3)], good)
