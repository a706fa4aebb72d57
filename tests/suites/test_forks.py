"""Chains in inter-op threads: they compute what the chains in turn do, and run in threads of their own."""

from __future__ import annotations

import pytest
import torch
import torch.utils.flop_counter

from torchduet.suites.matmul import forks, suite

pytestmark = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.\w+` is deprecated:DeprecationWarning")


WORKLOAD = suite.workloads["forks"]
SIZE = {"chains": 4, "n": 32}


def made() -> tuple[torch.Tensor, list[torch.Tensor]]:
    torch.manual_seed(0)
    return forks.matrices(torch.device("cpu"), **SIZE)


def test_forked_chains_compute_what_chains_in_turn_do() -> None:
    forked = WORKLOAD.implementations["forked"].function(*made())
    torch.testing.assert_close(forked(*made()), forks.in_turn(*made()))
    assert "prim::fork" in str(forked.graph)  # of TorchScript: in Python a fork would run at once


def test_the_chains_have_the_steps_that_their_cost_counts() -> None:
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        forks.in_turn(*made())
    cost = WORKLOAD.cost_at(SIZE)
    assert cost is not None
    assert counter.get_total_flops() == cost.flops


def test_their_values_stay_where_tanh_is_no_constant() -> None:
    x, weights = made()
    assert 1e-3 < float(forks.chain(x, weights[0]).abs().mean()) < 0.9
