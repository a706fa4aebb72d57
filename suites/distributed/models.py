"""The models that are trained by several processes: an MLP and a small transformer encoder, as sequences of blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchduet.suites.mlp import cost, digits, layers
from torchduet.suites.workload import Cost

CLASSES = 10
WIDTH, HEADS, HIDDEN, LAYERS, LENGTH = 128, 4, 512, 2, 32  # of the encoder, and tokens per sequence


class Mean(nn.Module):
    """The mean over the tokens of each sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


@dataclass(frozen=True)
class Model:
    """A classifier with its data.

    Attributes:
        make: the network, a sequence of blocks.
        data: so many rows, and their labels.
        cost: of a training step on so many rows.
    """

    make: Callable[[], nn.Sequential]
    data: Callable[[int], tuple[Tensor, Tensor]]
    cost: Callable[[int], Cost]


def perceptron(*widths: int) -> Model:
    """An MLP for images of handwriting; its blocks are its linear layers."""
    return Model(
        make=lambda: layers(*widths),
        data=lambda batch: digits(batch, widths[0], widths[-1]),
        cost=lambda batch: cost(batch, *widths),
    )


def encoder_network() -> nn.Sequential:
    """Without biases: the gradient of a key's is zero but for rounding, and AdamW makes a whole step of it."""
    blocks = [
        nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.0, activation="gelu", batch_first=True, bias=False)
        for _ in range(LAYERS)
    ]
    return nn.Sequential(*blocks, Mean(), nn.Linear(WIDTH, CLASSES))


def sequences(batch: int) -> tuple[Tensor, Tensor]:
    """Embedded tokens, and labels from a fixed random linear teacher, so that they can be learned."""
    x = torch.randn(batch, LENGTH, WIDTH)
    return x, (x.mean(1) @ torch.randn(WIDTH, CLASSES)).argmax(dim=1)


def encoder_cost(batch: int) -> Cost:
    """Two operations per multiply-add forward and four backward (Kaplan et al. 2020, §2.1), attention's included; the
    gradient of the first layer's input is not computed, so that its first product needs two backward."""
    tokens = batch * LENGTH
    of_layer = tokens * (4 * WIDTH**2 + 2 * WIDTH * HIDDEN + 2 * LENGTH * WIDTH)
    first = tokens * 3 * WIDTH**2
    return Cost(flops=2.0 * (3 * (LAYERS * of_layer + batch * WIDTH * CLASSES) - first), samples=batch)


MLP = perceptron(784, 512, 512, CLASSES)
WIDE_MLP = perceptron(784, 1024, 1024, CLASSES)
ENCODER = Model(encoder_network, sequences, encoder_cost)


def blocks(network: nn.Sequential) -> list[nn.Module]:
    """The blocks that have parameters; FSDP shards each by itself."""
    return [block for block in network if any(True for _ in block.parameters())]
