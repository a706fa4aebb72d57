"""Recurrent cells as einsum: one step of an RNN and one of an LSTM, each with the weights of torch's own cell."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.einsum.common import COMPILE_SOON, EAGER_FIRST, FLOAT, FP32_FIRST, part
from torchduet.suites.recurrent.cells import lstm_of_gates
from torchduet.suites.workload import Axis, Cost

suite = part()

WIDTH = 128  # of the input and of the state
RNN_GATES, LSTM_GATES = 1, 4
BATCH = {"batch": Axis(default=[64], full=[1, 1024], on={"cuda": Axis(default=[64], full=[1, 16_384])})}
PRODUCT = "hi,bi->bh"  # of the weights of a gate with each vector of the batch


def step_inputs(device: torch.device, batch: int, *, gates: int, states: int) -> tuple[Tensor, ...]:
    """The input (batch, width), a tensor (batch, width) of each state, and W, U, b, c of all gates.

    As those of torch's cells, the weights are at most the inverse root of the width; b belongs to W and c to U.
    """
    vectors = (torch.randn(batch, WIDTH, device=device) for _ in range(1 + states))
    shapes = (gates * WIDTH, WIDTH), (gates * WIDTH, WIDTH), (gates * WIDTH,), (gates * WIDTH,)
    return *vectors, *((2 * torch.rand(shape, device=device) - 1) / WIDTH**0.5 for shape in shapes)


def step_cost(batch: int, *, gates: int, states: int) -> Cost:
    """Two products of each gate; weights and biases, the input, the states and the new states are moved."""
    weights = 2 * gates * WIDTH * (WIDTH + 1)
    return Cost(
        flops=2.0 * batch * 2 * gates * WIDTH**2,
        bytes=float(FLOAT * (weights + batch * WIDTH * (1 + 2 * states))),
        samples=batch,
    )


def rnn_by_einsum(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.tanh(torch.einsum(PRODUCT, w, x) + b + torch.einsum(PRODUCT, u, h) + c)


def lstm_cell(
    x: Tensor, h: Tensor, memory: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    return torch.lstm_cell(x, (h, memory), w, u, b, c)


def lstm_by_einsum(
    x: Tensor, h: Tensor, memory: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """The gates are i, f, g and o, in torch's order of their weights."""
    h, memory = lstm_of_gates(x, (h, memory), *(tensor.chunk(LSTM_GATES) for tensor in (w, u, b + c)))
    return h, memory


suite.compare(
    "rnn_cell",
    {"rnn_tanh_cell": torch.rnn_tanh_cell, "einsum": rnn_by_einsum},
    about=f"h' = tanh(Wx + b + Uh + c), each product {PRODUCT}",
    inputs=lambda device, batch: step_inputs(device, batch, gates=RNN_GATES, states=1),
    axes=BATCH,
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda batch: step_cost(batch, gates=RNN_GATES, states=1),
)
suite.compare(
    "lstm_cell",
    {"lstm_cell": lstm_cell, "einsum": lstm_by_einsum},
    about=f"The step of an LSTM, each product of a gate {PRODUCT}",
    inputs=lambda device, batch: step_inputs(device, batch, gates=LSTM_GATES, states=2),
    axes=BATCH,
    modes=COMPILE_SOON,
    precisions=FP32_FIRST,
    cost=lambda batch: step_cost(batch, gates=LSTM_GATES, states=2),
)
