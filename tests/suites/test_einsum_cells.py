"""Recurrent cells as einsum: the results and gradients of torch's modules, with weights of the same shapes."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from torchduet.suites.claims import CLAIMS
from torchduet.suites.einsum import suite
from torchduet.suites.einsum.cells import WIDTH

CPU = torch.device("cpu")
BATCH = 3
CELLS = {"rnn_cell": (nn.RNNCell, 1), "lstm_cell": (nn.LSTMCell, 2)}  # torch's module, and its states


def operands(name: str) -> list[Tensor]:
    torch.manual_seed(0)
    return [tensor.double().requires_grad_() for tensor in suite.workloads[name].inputs(CPU, batch=BATCH)]


def module_of(name: str, weights: Sequence[Tensor]) -> nn.RNNCellBase:
    """Torch's module with these weights and biases."""
    module = CELLS[name][0](WIDTH, WIDTH)
    for attribute, weight in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights, strict=True):
        assert getattr(module, attribute).shape == weight.shape
        setattr(module, attribute, nn.Parameter(weight.detach()))
    return module


def total(result: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The sum of all values of all new states."""
    return torch.stack([state.sum() for state in (result if isinstance(result, tuple) else (result,))]).sum()


@pytest.mark.parametrize("name", CELLS)
def test_every_implementation_computes_what_the_module_computes_and_so_do_its_gradients(name: str) -> None:
    states = CELLS[name][1]
    inputs = operands(name)
    module = module_of(name, inputs[1 + states :])
    x, *state = inputs[: 1 + states]
    expected = module(x, tuple(state) if states > 1 else state[0])
    gradients = torch.autograd.grad(total(expected), list(module.parameters()))
    for implementation in suite.workloads[name].implementations.values():
        result = implementation.function(*inputs)
        torch.testing.assert_close(result, expected)
        torch.testing.assert_close(torch.autograd.grad(total(result), inputs[1 + states :]), gradients)


@pytest.mark.parametrize("name", CELLS)
def test_costs_are_what_pytorch_counts_for_einsum(name: str) -> None:
    workload = suite.workloads[name]
    with FlopCounterMode(display=False) as counter:
        workload.implementations["einsum"].function(*workload.inputs(CPU, batch=BATCH))
    assert workload.cost is not None
    assert workload.cost(batch=BATCH).flops == counter.get_total_flops()


@pytest.mark.parametrize("name", CELLS)
def test_the_cells_are_among_what_the_claim_about_dedicated_operations_compares(name: str) -> None:
    (claim,) = (claim for claim in CLAIMS if claim.key == "einsum-as-fast")
    (comparison,) = (pair for pair in claim.comparisons if pair.workload == name)
    assert comparison.baseline["implementation"] == next(iter(suite.workloads[name].implementations))
