"""Layers that torchao quantises: really quantised, within their tolerance, skipped with a command where they lack."""

from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as F

from torchduet.suites.matmul import fp8, quantised, suite
from torchduet.suites.workload import Unavailable

CPU = torch.device("cpu")
INT8 = tuple(quantised.INT8_TOLERANCE)


def made(name: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, quantised.QuantisedLayer]:
    pytest.importorskip("torchao", reason="torchao is an extra")
    torch.manual_seed(0)
    x, weight = (tensor.to(dtype) for tensor in quantised.inputs(CPU, 8, 256))
    return x, weight, quantised.QuantisedLayer(x, weight, name)


@pytest.mark.parametrize("name", INT8)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_is_as_exact_as_eight_bits_allow(name: str, dtype: torch.dtype) -> None:
    x, weight, layer = made(name, dtype)
    exact = F.linear(x.double(), weight.double())
    result = layer(x, weight)
    error = float((result.double() - exact).norm() / exact.norm())
    assert result.dtype == dtype
    assert 0.003 < error < quantised.INT8_TOLERANCE[name]  # float32 errs by 2e-7, bf16 by 0.0025


@pytest.mark.parametrize("name", INT8)
def test_a_placement_has_its_weight_in_other_memory(name: str) -> None:
    x, weight, layer = made(name, torch.float32)
    renewed = layer.renew()
    own, other = (list(one.layer.parameters()) for one in (layer, renewed))
    assert all(first is not second for first, second in zip(own, other, strict=True))
    assert torch.equal(renewed(x, weight), layer(x, weight))


def test_without_torchao_it_is_skipped_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    x, weight = quantised.inputs(CPU, 8, 64)
    with pytest.raises(Unavailable, match=r"torchao.*pip install .*torchao"):
        quantised.QuantisedLayer(x, weight, "int8_weight_only")


def test_float8_products_need_a_gpu() -> None:
    pytest.importorskip("torchao", reason="torchao is an extra")
    with pytest.raises(Unavailable, match=r"compute capability 8.9 or newer"):
        quantised.require_torchao(quantised.FLOAT8, CPU)


def test_a_torchao_without_a_configuration_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchao", reason="torchao is an extra")
    monkeypatch.setitem(quantised.CONFIGS, "int8_weight_only", "NoSuchConfig")
    with pytest.raises(Unavailable, match=r"this torchao has no NoSuchConfig: .*torchao"):
        quantised.require_torchao("int8_weight_only", CPU)


def test_every_implementation_has_its_tolerance_and_the_layer_itself_is_the_reference() -> None:
    workload = suite.workloads["quantised_linear"]
    assert next(iter(workload.implementations)) == "linear"
    assert workload.tolerance == quantised.INT8_TOLERANCE | {quantised.FLOAT8: fp8.TOLERANCE}
