"""Layers as einsum: the same results as the layers of PyTorch, and their gradients."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from torchduet.suites.einsum import suite as whole
from torchduet.suites.einsum.layers import suite

CPU = torch.device("cpu")
LAYERS = tuple(suite.workloads.values())


def test_the_layers_are_workloads_of_einsum() -> None:
    assert {workload.name for workload in LAYERS} == {"convolution", "batch_normalisation"}
    assert all(whole.workloads[workload.name] is workload for workload in LAYERS)


@pytest.mark.parametrize("workload", LAYERS, ids=lambda workload: workload.name)
def test_einsum_agrees_with_the_layer_in_values_and_gradients(workload) -> None:  # type: ignore[no-untyped-def]
    inputs = [value.double().requires_grad_() for value in workload.inputs(CPU, batch=2)]
    weight = torch.randn_like(inputs[0])
    results = []
    for implementation in workload.implementations.values():
        result = implementation.function(*inputs)
        results.append([result, *torch.autograd.grad((weight * result).sum(), inputs)])
    torch.testing.assert_close(results[0], results[1])


def test_the_convolution_is_that_of_a_module() -> None:
    x, weight = suite.workloads["convolution"].inputs(CPU, batch=2)
    module = nn.Conv2d(32, 32, 3, padding=1, bias=False)
    module.weight.data = weight
    torch.testing.assert_close(
        suite.workloads["convolution"].implementations["einsum"].function(x, weight), module(x), rtol=1e-4, atol=1e-5
    )


def test_normalised_channels_have_the_mean_and_deviation_that_are_asked_for() -> None:
    x, scale, shift = suite.workloads["batch_normalisation"].inputs(CPU, batch=2)
    result = suite.workloads["batch_normalisation"].implementations["einsum"].function(x, scale, shift)
    torch.testing.assert_close(result.mean(dim=(0, 2, 3)), shift, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result.std(dim=(0, 2, 3), correction=0), scale, rtol=1e-4, atol=1e-4)


def test_the_convolution_costs_what_pytorch_counts() -> None:
    workload = suite.workloads["convolution"]
    for implementation in workload.implementations.values():
        counter = FlopCounterMode(display=False)
        with counter:
            implementation.function(*workload.inputs(CPU, batch=2))
        assert workload.cost is not None
        assert workload.cost(batch=2).flops == counter.get_total_flops()
