"""What the steps of several suites of models share: memory formats, costs per image, and what follows the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.workload import Axis, Cost, Value

CPU_FLOPS = 5e10  # per second, roughly, of two cores
# For knobs=: both memory formats in every tier, or contiguous until full.
FORMATS: dict[str, Sequence[Value]] = {"memory_format": ["contiguous", "channels_last"]}
FORMATS_LATER = {"memory_format": Axis(quick=["contiguous"], full=["channels_last"])}


def cost_of(layers: Sequence[int], batch: int, training: bool) -> Cost:
    """The cost of a network for images, from the multiply-adds per image of each layer.

    The backward pass needs twice the operations of the forward pass (Kaplan et al. 2020, §2.1), except in the first
    layer: the gradient of its input is not computed, so it needs them once.
    """
    operations = 3 * sum(layers) - layers[0] if training else sum(layers)
    return Cost(flops=2.0 * batch * operations, samples=batch, unit="images")


def seconds_of(cost: Callable[..., Cost]) -> Callable[..., float]:
    """Roughly how many seconds a call of this cost takes: ``call_seconds`` of a workload."""

    def seconds(device: str, **size: Any) -> float:
        return (cost(**size).flops or 0.0) / CPU_FLOPS if is_host(device) else 0.0

    return seconds


def backward_and_step(
    loss: Tensor, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None = None
) -> None:
    """Gradients and an optimiser step; with a scaler the loss is scaled up, as fp16 needs it."""
    if scaler is None:
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    scaler.step(optimizer)
    scaler.update()
