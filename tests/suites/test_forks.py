"""Chains in inter-op threads: they compute what the chains in turn do, and run in threads of their own."""

from __future__ import annotations

import pytest
import torch
import torch.utils.flop_counter

from torchduet.suites.matmul import forks, suite

pytestmark = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.\w+` is deprecated:DeprecationWarning")


@pytest.mark.parametrize("name", ["two_forks", "four_forks"])
def test_forked_chains_compute_what_chains_in_turn_do(name: str) -> None:
    workload = suite.workloads[name]
    torch.manual_seed(0)
    inputs = tuple(workload.make(torch.device("cpu"), {"n": 32}))
    expected = workload.implementations["in_turn"].function(*inputs)
    forked = workload.implementations["forked"].function(*inputs)
    torch.testing.assert_close(forked(*inputs), expected)
    assert "fork" in str(forked.graph)  # of TorchScript: in Python a fork would run at once


def test_a_chain_has_the_steps_that_its_cost_counts() -> None:
    workload = suite.workloads["four_forks"]
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        forks.four_in_turn(*workload.make(torch.device("cpu"), {"n": 32}))
    cost = workload.cost_at({"n": 32})
    assert cost is not None
    assert counter.get_total_flops() == cost.flops


def test_their_values_stay_where_tanh_is_no_constant() -> None:
    torch.manual_seed(0)
    x, first, _ = forks.matrices(torch.device("cpu"), 64)
    assert 1e-3 < float(forks.chain(x, first).abs().mean()) < 0.9
