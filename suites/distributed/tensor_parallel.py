"""Tensor parallel blocks: each rank has a part of every weight, and all have the same rows."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.distributed.common import MODES, RANKS, equal_part, mesh, suite
from torchduet.suites.distributed.steps import Way, state, unwrapped
from torchduet.suites.distributed.training import FP32
from torchduet.suites.steps import seconds_of
from torchduet.suites.workload import Axis, Cost, Implementation

WIDTH, HIDDEN = 256, 1024
ATTENTION_WIDTH, HEADS, LENGTH = 256, 8, 64


class FeedForward(nn.Module):
    """The MLP block of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """The attention block of a transformer, with a product for each of query, key and value, without biases."""

    def __init__(self) -> None:
        super().__init__()
        width = ATTENTION_WIDTH
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(-1, (-1, ATTENTION_WIDTH // HEADS)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def parallel(*columns: str, rows: str, divided: int, what: str) -> Any:
    """Divide the outputs of the layers ``columns`` and the inputs of the layer ``rows`` among ranks.

    One all_reduce of the block's output follows: Shoeybi et al. 2019, §3 (arXiv:1909.08053).

    Args:
        divided: how many units the ranks divide; each must get as many.
        what: they are, in the plural.
    """

    def wrap(model: nn.Module, device: torch.device) -> nn.Module:
        from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

        equal_part(divided, dist.get_world_size(), what)
        plan = {**{name: ColwiseParallel() for name in columns}, rows: RowwiseParallel()}
        return parallelize_module(model, mesh(device), plan)

    return wrap


def feed_forward_inputs(device: torch.device, tokens: int) -> tuple[nn.Module, Tensor, Tensor]:
    x, y = torch.randn(2, tokens, WIDTH, device=device)
    return FeedForward().to(device), x.clone(), y.clone()


def feed_forward_cost(tokens: int) -> Cost:
    """Two operations per multiply-add forward and four backward; no gradient of the input."""
    return Cost(flops=2.0 * tokens * WIDTH * HIDDEN * 5, samples=tokens, unit="tokens")


def attention_inputs(device: torch.device, batch: int) -> tuple[nn.Module, Tensor, Tensor]:
    x, y = torch.randn(2, batch, LENGTH, ATTENTION_WIDTH, device=device)
    return Attention().to(device), x.clone(), y.clone()


def attention_cost(batch: int) -> Cost:
    """As above, with those of the scores and of the mixed values; no gradient of the input of the first three."""
    tokens = batch * LENGTH
    products = 3 * tokens * ATTENTION_WIDTH**2
    rest = tokens * ATTENTION_WIDTH**2 + 2 * tokens * LENGTH * ATTENTION_WIDTH
    return Cost(flops=2.0 * (2 * products + 3 * rest), samples=tokens, unit="tokens")


def implementations(wrap: Any) -> dict[str, Implementation]:
    return {
        "plain": Implementation(Way(unwrapped, loss=F.mse_loss), setup=True, alone=True),
        "tensor_parallel": Implementation(Way(wrap, loss=F.mse_loss), setup=True),
    }


suite.compare(
    "tensor_parallel_mlp",
    implementations(parallel("up", rows="down", divided=HIDDEN, what="hidden features")),
    about=f"Training step of a transformer's MLP block, {WIDTH}-{HIDDEN}-{WIDTH}, AdamW; its weights divided",
    inputs=feed_forward_inputs,
    ranks=RANKS,
    axes={"tokens": Axis(default=[256], on={"cuda": Axis(default=[8192])})},
    modes=MODES,
    observe=state,
    tolerance={"fp32": FP32},
    cost=feed_forward_cost,
    call_seconds=seconds_of(feed_forward_cost),
    memory=True,
)
suite.compare(
    "tensor_parallel_attention",
    implementations(parallel("query", "key", "value", rows="out", divided=HEADS, what="heads")),
    about=f"Training step of an attention block, width {ATTENTION_WIDTH}, {HEADS} heads, AdamW; its weights divided",
    inputs=attention_inputs,
    ranks=Axis(default=[1, 2, 4, 8]),  # at most one for each head
    axes={"batch": Axis(full=[8], on={"cuda": Axis(full=[256])})},
    modes=MODES,
    observe=state,
    tolerance={"fp32": FP32},
    cost=attention_cost,
    call_seconds=seconds_of(attention_cost),
    memory=True,
)
