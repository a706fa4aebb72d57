"""Layers in fp8: as exact as 3 bits of mantissa allow, in other memory for each placement, named where they lack."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from torchduet.suites.matmul import fp8, suite
from torchduet.suites.workload import Unavailable

CPU = torch.device("cpu")


def in_bf16(n: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x, weight = fp8.layer_inputs(CPU, n)
    return x.bfloat16(), weight.bfloat16()


def made(mode: str, x: torch.Tensor, weight: torch.Tensor) -> fp8.Fp8Layer:
    try:
        return fp8.Fp8Layer(x, weight, mode)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("mode", ["dynamic", "static", "product"])
def test_a_layer_is_within_the_tolerance_of_its_mantissa_and_really_in_fp8(mode: str) -> None:
    x, weight = in_bf16()
    result = made(mode, x, weight)(x, weight)
    exact = F.linear(x.double(), weight.double())
    error = float((result.double() - exact).norm() / exact.norm())
    assert result.dtype == torch.bfloat16
    assert 2.0**-7 < error < fp8.TOLERANCE  # bf16 alone errs by 0.003


def test_inputs_of_another_size_are_scaled_in_each_call_where_the_scale_is_dynamic() -> None:
    x, weight = in_bf16()
    larger = x * 1000
    exact = F.linear(larger.double(), weight.double())
    results = {mode: made(mode, x, weight)(larger, weight).double() for mode in ("dynamic", "static")}
    errors = {mode: float((result - exact).norm() / exact.norm()) for mode, result in results.items()}
    assert errors["dynamic"] < fp8.TOLERANCE
    assert errors["static"] > 0.5  # beyond its range: given the largest value, not NaN
    assert bool(results["static"].isfinite().all())


def test_a_placement_has_its_weight_in_other_memory() -> None:
    x, weight = in_bf16()
    layer = made("static", x, weight)
    renewed = layer.renew()
    assert renewed.weight.data_ptr() != layer.weight.data_ptr()
    assert torch.equal(renewed(x, weight), layer(x, weight))


def test_a_device_without_the_kernel_is_named_with_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise NotImplementedError("no kernel\nand more")

    monkeypatch.setattr(torch, "_scaled_mm", missing)
    with pytest.raises(Unavailable, match=r"does not run on cpu here \(no kernel\); fp8 .* 8\.9 or newer"):
        fp8.layer("static")(*in_bf16())


def test_a_cpu_that_multiplies_one_number_after_the_other_is_named_and_not_measured(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : fpu amx_bf16 avx10_2\n")
    fp8.require_instructions(CPU, cpuinfo)
    cpuinfo.write_text("processor : 0\nflags : fpu amx_bf16\n")
    for place in (cpuinfo, tmp_path / "missing"):
        with pytest.raises(Unavailable, match=r"no instructions for fp8 \(amx_fp8, avx10_2\); .* CUDA GPU"):
            fp8.require_instructions(CPU, place)
    fp8.require_instructions(torch.device("cuda"), cpuinfo)


def test_it_is_held_against_the_layer_in_bf16() -> None:
    workload = suite.workloads["fp8"]
    assert next(iter(workload.implementations)) == "linear"
    in_fp8 = [one for name, one in workload.implementations.items() if name != "linear"]
    assert {one.precisions for one in in_fp8} == {("bf16-pure",)}
