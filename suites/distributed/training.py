"""Training steps of an MLP and a transformer encoder: by one process, by DDP, by FSDP; strong and weak scaling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from torchduet.suites.distributed.common import MODES, RANKS, equal_part, suite
from torchduet.suites.distributed.models import ENCODER, MLP, WIDE_MLP, Model
from torchduet.suites.distributed.steps import (
    Way,
    ddp,
    ddp_bf16,
    fsdp,
    fsdp_only_after_the_last,
    only_after_the_last,
    state,
    unwrapped,
)
from torchduet.suites.mlp import GRADIENT_TOLERANCE
from torchduet.suites.steps import seconds_of
from torchduet.suites.workload import Axis, Implementation, Unavailable

FP32 = GRADIENT_TOLERANCE["fp32"]
COMPRESSED = 0.02  # bf16 rounds each gradient to 2**-9 of it, and so does each sum
MICRO_BATCHES = 4
STRONG, WEAK = "batch", "batch_per_rank"

plain = Way(unwrapped)
PLAIN = Implementation(plain, setup=True, alone=True)
LOCAL = Implementation(plain, setup=True, part=True)
DDP = Implementation(Way(ddp()), setup=True)
FSDP = Implementation(Way(fsdp()), setup=True)


def own_rows(model: nn.Module, x: Tensor, y: Tensor, rank: int, ranks: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A rank's part of the rows: as many as every other rank's, or the mean of means would not be that of all rows."""
    equal_part(len(x), ranks, "rows")
    return model, x.chunk(ranks)[rank], y.chunk(ranks)[rank]


def own_micro_batches(
    model: nn.Module, x: Tensor, y: Tensor, rank: int, ranks: int
) -> tuple[nn.Module, Tensor, Tensor]:
    """The same, where a rank's rows make equal micro-batches."""
    rows = equal_part(len(x), ranks, "rows")
    if rows % MICRO_BATCHES:
        raise Unavailable(f"{rows} rows of a rank are not {MICRO_BATCHES} equal micro-batches: choose fewer --ranks")
    return own_rows(model, x, y, rank, ranks)


def strong(model: Model) -> Callable[..., tuple[Any, ...]]:
    """The rows are divided among the ranks."""

    def inputs(device: torch.device, batch: int) -> tuple[Any, ...]:
        network = model.make().to(device)
        return (network, *(tensor.to(device) for tensor in model.data(batch)))

    return inputs


def weak(model: Model) -> Callable[..., tuple[Any, ...]]:
    """Each rank has so many rows."""
    of = strong(model)
    return lambda device, batch_per_rank, ranks: of(device, batch_per_rank * ranks)


def register(
    name: str, model: Model, ways: dict[str, Implementation], *, about: str, rows: Axis, axis: str = STRONG, **more: Any
) -> None:
    """Training steps in several ways, the first that of one process on all rows."""
    of = model.cost
    scaled: dict[str, Any] = {
        STRONG: {"inputs": strong(model), "cost": lambda batch: of(batch)},
        WEAK: {
            "inputs": weak(model),
            "cost": lambda batch_per_rank, ranks: of(batch_per_rank * ranks),
        },
    }
    suite.compare(
        name,
        ways,
        about=about,
        shard=more.pop("shard", own_rows),
        ranks=RANKS,
        axes={axis: rows},
        modes=MODES,
        observe=state,
        tolerance={"fp32": FP32, **more.pop("tolerance", {})},
        call_seconds=seconds_of(lambda **size: of(*size.values())),
        **scaled[axis],
        **more,
    )


register(
    "mlp_step",
    MLP,
    {"plain": PLAIN, "local": LOCAL, "ddp": DDP, "fsdp": FSDP},
    about="Training step of an MLP, 784-512-512-10, AdamW; its rows divided among ranks (strong scaling)",
    rows=Axis(default=[256], on={"cuda": Axis(default=[8192])}),
    memory=True,
)
register(
    "mlp_step_weak",
    MLP,
    {"plain": PLAIN, "ddp": DDP},
    about="Training step of an MLP, 784-512-512-10, AdamW; so many rows for each rank (weak scaling)",
    rows=Axis(default=[128], on={"cuda": Axis(default=[8192])}),
    axis=WEAK,
)
register(
    "encoder_step",
    ENCODER,
    {"plain": PLAIN, "local": LOCAL, "ddp": DDP, "fsdp": FSDP},
    about="Training step of a transformer encoder, 2 layers of width 128, AdamW; its rows divided among ranks",
    rows=Axis(default=[8], on={"cuda": Axis(default=[512])}),
    memory=True,
)
register(
    "encoder_step_weak",
    ENCODER,
    {"plain": PLAIN, "local": LOCAL, "ddp": DDP, "fsdp": FSDP},
    about="Training step of a transformer encoder, 2 layers of width 128, AdamW; so many rows for each rank",
    rows=Axis(full=[8], on={"cuda": Axis(full=[512])}),
    axis=WEAK,
)


def accumulating(way: Way, **options: Any) -> Implementation:
    return Implementation(replace(way, micro_batches=MICRO_BATCHES, **options), setup=True)


register(
    "accumulation",
    MLP,
    {
        "plain": replace(accumulating(plain), alone=True),
        "ddp": accumulating(Way(ddp())),
        "no_sync": accumulating(Way(ddp()), sync=only_after_the_last),
    },
    about=f"{MICRO_BATCHES} micro-batches and one AdamW step of an MLP, 784-512-512-10",
    rows=Axis(default=[256], on={"cuda": Axis(default=[8192])}),
    shard=own_micro_batches,
)
register(
    "accumulation_fsdp",
    MLP,
    {
        "plain": replace(accumulating(plain), alone=True),
        "fsdp": accumulating(Way(fsdp())),
        "no_sync": accumulating(Way(fsdp()), sync=fsdp_only_after_the_last),
    },
    about=f"{MICRO_BATCHES} micro-batches and one AdamW step of an MLP, 784-512-512-10, by FSDP",
    rows=Axis(full=[256], on={"cuda": Axis(full=[8192])}),
    shard=own_micro_batches,
    memory=True,
)
register(
    "ddp_options",
    WIDE_MLP,
    {
        "plain": PLAIN,
        "local": LOCAL,
        "ddp": DDP,
        "buckets_1_mib": Implementation(Way(ddp(bucket_cap_mb=1)), setup=True),
        "buckets_100_mib": Implementation(Way(ddp(bucket_cap_mb=100)), setup=True),
        "bucket_views": Implementation(Way(ddp(gradient_as_bucket_view=True)), setup=True),
        "bf16_gradients": Implementation(Way(ddp_bf16), setup=True),
    },
    about="Training step of an MLP, 784-1024-1024-10, AdamW, by DDP: sizes of buckets, gradients in them, bf16",
    rows=Axis(full=[64], on={"cuda": Axis(full=[8192])}),
    tolerance={"bf16_gradients": COMPRESSED},
    memory=True,
)
register(
    "fsdp_resharding",
    WIDE_MLP,
    {
        "plain": PLAIN,
        "local": LOCAL,
        "ddp": DDP,
        "resharded": FSDP,
        "kept": Implementation(Way(fsdp(reshard_after_forward=False)), setup=True),
    },
    about="Training step of an MLP, 784-1024-1024-10, AdamW, by FSDP: parameters released between the passes or kept",
    rows=Axis(full=[64], on={"cuda": Axis(full=[8192])}),
    memory=True,
)
