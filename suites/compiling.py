"""How models are compiled: whole or block by block, at one size or at several in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

suite = Suite("compiling", "Compilation as a whole or of repeated blocks, and at several sizes in turn")

Autocast = Callable[[], AbstractContextManager[object]]
WIDTH, HIDDEN, ROWS = 128, 256, 64  # of a residual block, and the rows of a batch
MODEL, HEADS, TOKENS, TEXTS = 64, 4, 32, 4  # of an encoder layer, and the tokens and texts of a batch
REGIONS = Axis(default=["eager", "compile-model", "compile-regions"])
SIZES = Axis(default=["eager", "compile", "compile-dynamic"], full=["compile-static"])
SIZES_LATER = Axis(full=["eager", "compile", "compile-dynamic", "compile-static"])


class ResidualBlock(nn.Module):
    """Layer normalisation, two linear layers with GELU between them, and a residual connection."""

    def __init__(self, width: int = WIDTH, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """A layer of a transformer encoder, normalised before its parts (Xiong et al. 2020)."""

    def __init__(self, width: int = MODEL, heads: int = HEADS) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.projections, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.block = ResidualBlock(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        texts, tokens, width = x.shape
        projected = self.projections(self.norm(x)).view(texts, tokens, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.block(x + self.output(attended.transpose(1, 2).reshape(x.shape)))  # type: ignore[no-any-return]


class Stack(nn.Module):
    """Layers of one kind, one after the other, with a projection before and a normalisation after them."""

    def __init__(self, layers: Sequence[nn.Module], width: int) -> None:
        super().__init__()
        self.projection, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.projection(x)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)  # type: ignore[no-any-return]


def infer(model: nn.Module, x: Tensor, autocast: Autocast) -> Tensor:
    with torch.no_grad(), autocast():
        return model(x)  # type: ignore[no-any-return]


def mlp_of(depth: int) -> Stack:
    """A stack of residual blocks for inference."""
    return Stack([ResidualBlock() for _ in range(depth)], WIDTH).eval()


def encoder_of(layers: int) -> Stack:
    """A stack of encoder layers for inference."""
    return Stack([EncoderLayer() for _ in range(layers)], MODEL).eval()


def mlp_inputs(device: torch.device, depth: int) -> tuple[Any, ...]:
    return mlp_of(depth).to(device), torch.randn(ROWS, WIDTH, device=device)


@suite.workload(
    inputs=mlp_inputs,
    axes={"depth": Axis(default=[16], full=[2])},
    modes=REGIONS,
    cost=lambda depth: Cost(flops=2.0 * ROWS * (2 * depth * WIDTH * HIDDEN + WIDTH * WIDTH), samples=ROWS),
)
def residual_mlp(model: nn.Module, x: Tensor, autocast: Autocast) -> Tensor:
    """Inference step of residual blocks of one kind: compiled as a whole, or block by block"""
    return infer(model, x, autocast)


def encoder_inputs(device: torch.device, layers: int) -> tuple[Any, ...]:
    return encoder_of(layers).to(device), torch.randn(TEXTS, TOKENS, MODEL, device=device)


@suite.workload(
    inputs=encoder_inputs,
    axes={"layers": Axis(full=[1, 8, 24])},
    modes=Axis(
        full=["eager", "compile-model", "compile-regions", "compile", "max-autotune", "max-autotune-no-cudagraphs"]
    ),
    cost=lambda **_: Cost(samples=TEXTS * TOKENS, unit="tokens"),
)
def encoder_stack(model: nn.Module, x: Tensor, autocast: Autocast) -> Tensor:
    """Inference step of a transformer encoder: compiled as a whole, or layer by layer"""
    return infer(model, x, autocast)


def lengths(device: torch.device) -> tuple[Any, ...]:
    return encoder_of(2).to(device), [torch.randn(TEXTS, tokens, MODEL, device=device) for tokens in (24, 40, 56, 72)]


@suite.workload(
    inputs=lengths,
    each="texts",
    modes=SIZES,
    cost=lambda: Cost(samples=TEXTS * (24 + 40 + 56 + 72), unit="tokens"),
)
def text_lengths(model: nn.Module, texts: Tensor, autocast: Autocast) -> Tensor:
    """Inference steps of two encoder layers on batches of texts of four lengths in turn"""
    return infer(model, texts, autocast)


def batches(*rows: int) -> Callable[[torch.device], tuple[Any, ...]]:
    """Inputs of a small stack of residual blocks: batches with these numbers of rows."""

    def inputs(device: torch.device) -> tuple[Any, ...]:
        return mlp_of(2).to(device), [torch.randn(number, WIDTH, device=device) for number in rows]

    return inputs


UNEQUAL, ALIKE, MANY = (64, 48, 17, 1), (64,) * 4, tuple(range(8, 56, 4))


@suite.workload(inputs=batches(*UNEQUAL), each="rows", modes=SIZES_LATER, cost=lambda: Cost(samples=sum(UNEQUAL)))
def batch_sizes(model: nn.Module, rows: Tensor, autocast: Autocast) -> Tensor:
    """Inference steps of two residual blocks on batches of 64, 48, 17 rows and a single one, in turn"""
    return infer(model, rows, autocast)


@suite.workload(inputs=batches(*ALIKE), each="rows", modes=SIZES_LATER, cost=lambda: Cost(samples=sum(ALIKE)))
def batches_alike(model: nn.Module, rows: Tensor, autocast: Autocast) -> Tensor:
    """Inference steps of two residual blocks on four batches of 64 rows, in turn: nothing is compiled again"""
    return infer(model, rows, autocast)


@suite.workload(inputs=batches(*MANY), each="rows", modes=SIZES_LATER, cost=lambda: Cost(samples=sum(MANY)))
def many_batch_sizes(model: nn.Module, rows: Tensor, autocast: Autocast) -> Tensor:
    """Inference steps of two residual blocks on batches of 12 sizes in turn: more than one function is compiled for"""
    return infer(model, rows, autocast)
