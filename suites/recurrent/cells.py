"""One step of an LSTM and of a GRU: torch's own cell, and the equations with one product for all gates or one for each.

A state is (h, c) of an LSTM, (h,) of a GRU, each (batch, hidden); an input x is (batch, input). Every step function
reads the weights of one cell: (gates · hidden, input) and (gates · hidden, hidden), with a bias for each product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]
Product = Callable[[Tensor, Tensor], Tensor]  # of vectors (batch, n) and weights (m, n): (batch, m)


def lstm_cell(cell: nn.LSTMCell) -> Step:
    return lambda x, state: cell(x, state)


def lstm_by_hand(cell: nn.LSTMCell) -> Step:
    """One product of the input and one of h for all four gates."""

    def step(x: Tensor, state: State) -> State:
        h, c = state
        gates = F.linear(x, cell.weight_ih, cell.bias_ih) + F.linear(h, cell.weight_hh, cell.bias_hh)
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    return step


def lstm_by_einsum(cell: nn.LSTMCell) -> Step:
    """Two products for each gate, as the equations are written in textbooks."""
    weights, recurrent, biases = _of_gates(cell, 4)
    return lambda x, state: lstm_of_gates(x, state, weights, recurrent, biases)


def lstm_of_gates(
    x: Tensor, state: State, weights: Sequence[Tensor], recurrent: Sequence[Tensor], biases: Sequence[Tensor]
) -> State:
    """A step of an LSTM with two products by einsum for each gate.

    Args:
        weights, recurrent, biases: of the gates i, f, g and o: (hidden, input), (hidden, hidden), (hidden,).
    """
    h, c = state
    i, f, g, o = (einsum(x, w) + einsum(h, u) + b for w, u, b in zip(weights, recurrent, biases, strict=True))
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_cell(cell: nn.GRUCell) -> Step:
    return lambda x, state: (cell(x, state[0]),)


def gru_by_hand(cell: nn.GRUCell) -> Step:
    """One product of the input and one of h for all three gates.

    The reset gate multiplies the product of h and its bias, as in torch and cuDNN; Cho et al. 2014 multiply h itself.
    """

    def step(x: Tensor, state: State) -> State:
        (h,) = state
        x_r, x_z, x_n = F.linear(x, cell.weight_ih, cell.bias_ih).chunk(3, dim=1)
        h_r, h_z, h_n = F.linear(h, cell.weight_hh, cell.bias_hh).chunk(3, dim=1)
        r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
        n = (x_n + r * h_n).tanh()
        return ((1 - z) * n + z * h,)

    return step


def gru_by_gate(cell: nn.GRUCell, product: Product = F.linear) -> Step:
    """Two products for each gate, as the equations are written in textbooks."""
    (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, _) = _of_gates(cell, 3)
    b_in, b_hn = cell.bias_ih.chunk(3)[2], cell.bias_hh.chunk(3)[2]

    def step(x: Tensor, state: State) -> State:
        (h,) = state
        r = torch.sigmoid(product(x, w_r) + product(h, u_r) + b_r)
        z = torch.sigmoid(product(x, w_z) + product(h, u_z) + b_z)
        n = torch.tanh(product(x, w_n) + b_in + r * (product(h, u_n) + b_hn))
        return ((1 - z) * n + z * h,)

    return step


def gru_by_einsum(cell: nn.GRUCell) -> Step:
    return gru_by_gate(cell, einsum)


def einsum(vectors: Tensor, weights: Tensor) -> Tensor:
    """(batch, hidden)."""
    return torch.einsum("hi,bi->bh", weights, vectors)


def _of_gates(cell: nn.RNNCellBase, gates: int) -> tuple[tuple[Tensor, ...], ...]:
    """The weights of each gate for the input, those for h, and the sum of its two biases."""
    return tuple(tensor.chunk(gates) for tensor in (cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh))
