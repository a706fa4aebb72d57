"""One equation against the operation that it stands for."""

from __future__ import annotations

import torch
from torch import Tensor

from torchduet.suites.einsum.common import (
    BOTH,
    COMPILE_SOON,
    EAGER,
    FLOAT,
    FP32_FIRST,
    against_einsum,
    moved,
    normal,
    part,
)
from torchduet.suites.matmul import product
from torchduet.suites.workload import Axis, Cost

suite = part()

SQUARE = {"n": Axis(quick=[256], full=[1024, 4096], on={"cuda": Axis(quick=[4096], full=[8192])})}
LARGE = {"n": Axis(default=[1000], full=[10_000], on={"cuda": Axis(full=[8192])})}

against_einsum(
    suite,
    "matrix_product",
    "ij,jk->ik",
    {"mm": torch.mm},
    normal(("n", "n"), ("n", "n")),
    SQUARE,
    modes=BOTH,
    precisions=FP32_FIRST,
    cost=lambda n: product(n, n, n),
)
against_einsum(
    suite,
    "transpose",
    "ij->ji",
    {"t": torch.t},
    normal(("n", "n")),
    LARGE,
    modes=EAGER,
    precisions=Axis(quick=["fp32"], default=["bf16-pure"]),  # both return views, whatever the type
)
against_einsum(
    suite,
    "trace",
    "ii->",
    {"trace": torch.trace},
    # Not centred on zero: a sum that cancels has no relative accuracy.
    lambda device, n: (torch.rand(n, n, device=device),),
    LARGE,
    cost=lambda n: moved(n, n),
)
against_einsum(
    suite,
    "batched_product",
    "bij,bjk->bik",
    {"bmm": torch.bmm},
    normal(("batch", 64, 64), ("batch", 64, 64)),
    {"batch": Axis(default=[256], full=[32, 4096], on={"cuda": Axis(default=[4096])})},
    precisions=FP32_FIRST,
    cost=lambda batch: product(64, 64, 64, batch),
)
against_einsum(
    suite,
    "dot",
    "i,i->",
    {"dot": torch.dot},
    lambda device, n: (torch.rand(n, device=device), torch.rand(n, device=device)),
    {"n": Axis(default=[1_000_000], full=[100_000_000], on={"cuda": Axis(full=[100_000_000])})},
    cost=lambda n: product(1, n, 1),
)
against_einsum(
    suite,
    "outer",
    "i,j->ij",
    {"outer": torch.outer},
    normal(("n",), ("n",)),
    LARGE,
    cost=lambda n: moved(n * n + 2 * n, n * n),
)
against_einsum(
    suite,
    "hadamard",
    "ij,ij->ij",
    {"mul": torch.mul},
    normal(("n", "n"), ("n", "n")),
    {"n": Axis(default=[1000], full=[10_000], on={"cuda": Axis(default=[8192])})},
    cost=lambda n: moved(3 * n * n, n * n),
)
against_einsum(
    suite,
    "sum_inner",
    "ijk->i",
    {"sum": lambda x: x.sum(dim=(1, 2))},
    lambda device, n: (torch.rand(n, n, n, device=device),),
    {"n": Axis(default=[100], full=[400], on={"cuda": Axis(full=[640])})},
    cost=lambda n: moved(n**3, n**3),
)
against_einsum(
    suite,
    "bilinear",
    "i,ijk,j->k",
    {"mv": lambda x, w, y: torch.mv(torch.mv(w.reshape(len(x), -1).T, x).reshape(len(y), -1).T, y)},
    normal(("n",), ("n", "n", "n"), ("n",)),
    {"n": Axis(default=[64], full=[400], on={"cuda": Axis(default=[512])})},
    cost=lambda n: Cost(flops=2.0 * (n**3 + n**2), bytes=float(FLOAT * (n**3 + 3 * n))),
)
against_einsum(
    suite,
    "batched_bilinear",
    "bi,bj,ijk->bk",
    {"bilinear": lambda x, y, w: torch.nn.functional.bilinear(x, y, w.permute(2, 0, 1))},
    normal(("batch", 32), ("batch", 32), (32, 32, 32)),
    {"batch": Axis(quick=[64], full=[1024, 16_384], on={"cuda": Axis(full=[16_384])})},
    modes=COMPILE_SOON,
    precisions=FP32_FIRST,
    cost=lambda batch: Cost(flops=2.0 * batch * (32**3 + 32**2), bytes=float(FLOAT * (3 * 32 * batch + 32**3))),
)
against_einsum(
    suite,
    "sum_last",
    "...ij->...i",
    {"sum": lambda x: x.sum(dim=-1)},
    lambda device, n: (torch.rand(8, n, n, device=device),),
    {"n": Axis(default=[200], full=[2000], on={"cuda": Axis(full=[4096])})},
    cost=lambda n: moved(8 * n * n, 8 * n * n),
)
against_einsum(
    suite,
    "attention_scores",
    "bhqd,bhkd->bhqk",
    {"matmul": lambda q, k: torch.matmul(q, k.transpose(-1, -2))},
    normal((4, 8, "length", 64), (4, 8, "length", 64)),
    {"length": Axis(quick=[64], full=[256, 2048], on={"cuda": Axis(default=[2048])})},
    modes=COMPILE_SOON,
    precisions=FP32_FIRST,
    cost=lambda length: product(length, 64, length, 32),
)


def chain_inputs(device: torch.device, n: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(n, n, device=device), torch.randn(n, n, device=device), torch.randn(n, 1, device=device)


suite.compare(
    "chain",
    {
        "best_order": lambda a, b, c: a @ (b @ c),
        "left_to_right": lambda a, b, c: (a @ b) @ c,
        "einsum": lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c),
        "multi_dot": lambda a, b, c: torch.linalg.multi_dot((a, b, c)),
    },
    about="ij,jk,kl->il with a column last: contraction order decides",
    inputs=chain_inputs,
    axes={"n": Axis(quick=[256], default=[1024], full=[4096], on={"cuda": Axis(default=[8192])})},
    modes=EAGER,
    # For the best order: two products of a matrix with a column.
    cost=lambda n: Cost(flops=4.0 * n * n, bytes=float(FLOAT * 2 * (n * n + n))),
)
