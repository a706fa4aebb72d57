"""Indexing, slicing and changing the memory layout: views against copies."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.tensor_ops.common import EAGER, EAGER_FIRST, LARGE, LARGER_LATER, SMALL, matrix, moved, part

suite = part()


def rows_to_take(device: torch.device, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randint(n, (n // 2,), device=device)


suite.compare(
    "take_rows",
    {
        "index": lambda x, index: x[index],
        "index_select": lambda x, index: x.index_select(0, index),
        "gather": lambda x, index: x.gather(0, index[:, None].expand(-1, x.shape[1])),
    },
    about="n/2 random rows of an (n, n) matrix",
    inputs=rows_to_take,
    axes={"n": LARGER_LATER},
    modes=EAGER_FIRST,
    cost=lambda n: moved(n * n),
)

suite.compare(
    "select_positive",
    {
        "mask": lambda x: x[x > 0],
        "masked_select": lambda x: torch.masked_select(x, x > 0),
        "nonzero": lambda x: x.view(-1)[(x.view(-1) > 0).nonzero().squeeze(1)],
    },
    about="The positive values of an (n, n) matrix, about half of them",
    inputs=matrix,
    axes={"n": LARGE},
    modes=EAGER,
    cost=lambda n: moved(1.5 * n * n),
)

suite.compare(
    "slice",
    {"view": lambda x: x[::2, 10:], "copy": lambda x: x[::2, 10:].clone()},
    about="Every second row from column 10 on: a view, and copied",
    inputs=matrix,
    axes={"n": SMALL},
    modes=EAGER,
)

suite.compare(
    "transpose",
    {"permute": lambda x: x.permute(1, 0), "contiguous": lambda x: x.permute(1, 0).contiguous()},
    about="A transposed (n, n) matrix: as a view, and made contiguous",
    inputs=matrix,
    axes={"n": LARGE},
    modes=EAGER,
)

suite.compare(
    "flatten",
    {"view": lambda x: x.view(-1), "reshape": lambda x: x.reshape(-1), "copy": lambda x: x.clone().view(-1)},
    about="(n, n) to n² values",
    inputs=matrix,
    axes={"n": SMALL},
    modes=EAGER,
)

suite.compare(
    "flatten_transposed",
    {
        "reshape": lambda x: x.t().reshape(-1),
        "contiguous": lambda x: x.t().contiguous().view(-1),
        "flatten_into": lambda x: torch.empty_like(x).copy_(x.t()).view(-1),
    },
    about="A transposed (n, n) matrix to n² values, which no view can be: reshape copies",
    inputs=matrix,
    axes={"n": SMALL},
    modes=EAGER,
    cost=lambda n: moved(2 * n * n),
)
