"""One attention by every backend of PyTorch: that which it chooses itself, each by name, and FlexAttention."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.attention.formulas import (
    DEPTH,
    MODES,
    PRECISIONS,
    by_hand,
    causal_by_hand,
    cost,
    part,
    queries_keys_values,
)
from torchduet.suites.attention.kernels import KERNELS, by_kernel, need_scores
from torchduet.suites.devices import is_host
from torchduet.suites.workload import Axis, Implementation, Unavailable

suite = part()

LENGTHS = Axis(full=[1024, 4096, 16_384], on={"cuda": Axis(quick=[4096], full=[1024, 16_384])})
FLOPS = 3e10  # per second, roughly, of two cores


def seconds(pairs: float, device: str) -> float:
    """Roughly how long a call of a fused backend takes."""
    return 4.0 * 8 * DEPTH * pairs / FLOPS if is_host(device) else 0.0


def with_scores(causal: bool) -> Implementation:
    """The formula by hand, which holds all scores: left out at lengths for which they do not fit into memory."""

    def setup(q: Tensor, *_: Tensor) -> Callable[..., Tensor]:
        need_scores(q)
        if not causal:
            return by_hand
        later = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool, device=q.device).triu(diagonal=1)
        return lambda q, k, v: causal_by_hand(q, k, v, later)

    return Implementation(setup, setup=True)


def flex(causal: bool) -> Implementation:
    """FlexAttention, whose block mask is made once, outside the timing; it is fused only if it is compiled."""

    def setup(q: Tensor, *_: Tensor) -> Callable[..., Tensor]:
        try:
            from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        except ImportError as error:
            raise Unavailable(f"this PyTorch has no FlexAttention ({error}): it takes torch 2.5 or newer") from None
        mask = None
        if causal:
            length = q.shape[-2]
            mask = create_block_mask(no_later_keys, None, None, length, length, device=q.device)

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            result: Tensor = flex_attention(q, k, v, block_mask=mask)
            return result

        return attend

    return Implementation(setup, setup=True, modes=("compile", "max-autotune"))


def no_later_keys(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Whether a query sees a key: if that is not after it."""
    return query >= key


def compare_backends(name: str, about: str, pairs: Callable[[int], float], *, causal: bool) -> None:
    """Register a workload with every backend; ``pairs`` of a query and a visible key at a length."""
    suite.compare(
        name,
        {
            "sdpa": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal),  # PyTorch chooses
            "by_hand": with_scores(causal),
            **{kernel: by_kernel(kernel, causal=causal) for kernel in KERNELS},
            "flex": flex(causal),
        },
        about=about,
        inputs=queries_keys_values,
        axes={"length": LENGTHS},
        modes=MODES,
        precisions=PRECISIONS,
        cost=lambda length: cost(pairs(length), length),
        call_seconds=lambda length, device: seconds(pairs(length), device),
        memory=True,
    )


compare_backends(
    "backends",
    "softmax(QKᵀ/√64)·V, 8 heads of depth 64, by each backend of scaled_dot_product_attention",
    lambda length: length * length,
    causal=False,
)
compare_backends(
    "causal_backends",
    "The same, each query seeing only the keys up to its own place",
    lambda length: length * (length + 1) / 2,
    causal=True,
)
