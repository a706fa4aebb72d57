"""One step of an LSTM and of a GRU: torch's own cell, the equations by hand, and by einsum.

A state is (h, c) of an LSTM, (h,) of a GRU, each (batch, hidden); an input x is (batch, input). All ways read the
weights of one cell: (gates · hidden, input) and (gates · hidden, hidden), with a bias for each of the two products.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]


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
    w_i, w_f, w_g, w_o, u_i, u_f, u_g, u_o, b_i, b_f, b_g, b_o = _of_gates(cell, 4)

    def step(x: Tensor, state: State) -> State:
        h, c = state
        i = torch.sigmoid(_product(w_i, x) + _product(u_i, h) + b_i)
        f = torch.sigmoid(_product(w_f, x) + _product(u_f, h) + b_f)
        g = torch.tanh(_product(w_g, x) + _product(u_g, h) + b_g)
        o = torch.sigmoid(_product(w_o, x) + _product(u_o, h) + b_o)
        c = f * c + i * g
        return o * torch.tanh(c), c

    return step


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


def gru_by_einsum(cell: nn.GRUCell) -> Step:
    """Two products for each gate, as the equations are written in textbooks."""
    w_r, w_z, w_n, u_r, u_z, u_n, b_r, b_z, _ = _of_gates(cell, 3)
    b_in, b_hn = cell.bias_ih.chunk(3)[2], cell.bias_hh.chunk(3)[2]

    def step(x: Tensor, state: State) -> State:
        (h,) = state
        r = torch.sigmoid(_product(w_r, x) + _product(u_r, h) + b_r)
        z = torch.sigmoid(_product(w_z, x) + _product(u_z, h) + b_z)
        n = torch.tanh(_product(w_n, x) + b_in + r * (_product(u_n, h) + b_hn))
        return ((1 - z) * n + z * h,)

    return step


def _of_gates(cell: nn.RNNCellBase, gates: int) -> tuple[Tensor, ...]:
    """The weights of each gate for the input, those for h, and the sum of its two biases."""
    biases = cell.bias_ih + cell.bias_hh
    return *cell.weight_ih.chunk(gates), *cell.weight_hh.chunk(gates), *biases.chunk(gates)


def _product(weights: Tensor, vectors: Tensor) -> Tensor:
    return torch.einsum("hi,bi->bh", weights, vectors)
