"""A recurrent language model: its layers are computed by the module or by a step function, with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.recurrent import cells
from torchduet.suites.recurrent.cells import State, Step

StepOf = Callable[[Any], Step]  # makes the step function of a cell


@dataclass(frozen=True)
class Kind:
    """A kind of recurrent layer.

    Attributes:
        layer, cell: torch's modules for whole sequences and for one step.
        gates: matrix products of the input, and of h, in one step.
        states: tensors in a state.
        steps: name → what makes the step function of a cell; None: the module for whole sequences.
    """

    layer: type[nn.LSTM] | type[nn.GRU]
    cell: type[nn.LSTMCell] | type[nn.GRUCell]
    gates: int
    states: int
    steps: dict[str, StepOf | None]


KINDS = {
    "lstm": Kind(
        nn.LSTM,
        nn.LSTMCell,
        gates=4,
        states=2,
        steps={"fused": None, "cell": cells.lstm_cell, "by_hand": cells.lstm_by_hand, "einsum": cells.lstm_by_einsum},
    ),
    "gru": Kind(
        nn.GRU,
        nn.GRUCell,
        gates=3,
        states=1,
        steps={
            "fused": None,
            "cell": cells.gru_cell,
            "by_hand": cells.gru_by_hand,
            "by_gate": cells.gru_by_gate,
            "einsum": cells.gru_by_einsum,
        },
    ),
}


@dataclass(frozen=True)
class Dimensions:
    """Number of tokens, width and number of the recurrent layers; an embedding is as wide as a layer."""

    vocabulary: int
    hidden: int
    layers: int


# All but tiny are those of Zaremba et al. 2014 (arXiv:1409.2329), with the words of the Penn Treebank.
MODELS = {
    "tiny": Dimensions(1000, 128, 1),
    "small": Dimensions(10_000, 200, 2),
    "medium": Dimensions(10_000, 650, 2),
    "large": Dimensions(10_000, 1500, 2),
}


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, and a linear layer to the logits of the next word.

    The parameters of ``cells`` are those of ``recurrent``. Dynamo skips every function that reads an attribute which is
    an ``nn.LSTM`` or ``nn.GRU`` (pytorch/pytorch#141184): only :meth:`_fused` does, so that the rest is compiled.
    """

    def __init__(self, kind: Kind, dimensions: Dimensions) -> None:
        super().__init__()
        hidden, layers = dimensions.hidden, dimensions.layers
        self.embedding = nn.Embedding(dimensions.vocabulary, hidden)
        self.recurrent = kind.layer(hidden, hidden, layers)
        self.cells = nn.ModuleList(kind.cell(hidden, hidden, device="meta") for _ in range(layers))
        self.output = nn.Linear(hidden, dimensions.vocabulary)
        for number, cell in enumerate(self.cells):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(cell, name, getattr(self.recurrent, f"{name}_l{number}"))

    def forward(self, tokens: Tensor, state: Any, step_of: StepOf | None) -> tuple[Tensor, Any]:
        """The logits (…, vocabulary), and the state behind the last token.

        Args:
            tokens: (length, batch), whole numbers below ``vocabulary``; (batch,) for a single step of the cells.
            state: of all layers, each tensor (layers, batch, hidden); for a single step a list of the layers' own.
            step_of: makes the step function of each layer's cell; None: the module for whole sequences is called.
        """
        x = self.embedding(tokens)
        if step_of is None:
            x, state = self._fused(x, state)
        elif tokens.dim() == 1:
            x, state = self._single_step(x, state, step_of)
        else:
            x, state = self._step_by_step(x, state, step_of)
        return self.output(x), state

    def _fused(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x, last = self.recurrent(x, state if len(state) > 1 else state[0])
        return x, last if isinstance(last, tuple) else (last,)

    def _single_step(self, x: Tensor, states: Sequence[State], step_of: StepOf) -> tuple[Tensor, list[State]]:
        """A step of each layer; its state stays its own, since nothing needs those of all layers in one tensor."""
        last = []
        for cell, state in zip(self.cells, states, strict=True):
            state = step_of(cell)(x, state)
            x = state[0]
            last.append(state)
        return x, last

    def _step_by_step(self, x: Tensor, states: State, step_of: StepOf) -> tuple[Tensor, State]:
        """One layer after the other, each a loop over the steps; shapes as of ``nn.LSTM``."""
        last: list[State] = []
        for number, cell in enumerate(self.cells):
            step, state = step_of(cell), tuple(tensor[number] for tensor in states)
            outputs = []
            for token in x:
                state = step(token, state)
                outputs.append(state[0])
            x = torch.stack(outputs)
            last.append(state)
        return x, tuple(torch.stack(tensors) for tensors in zip(*last, strict=True))
