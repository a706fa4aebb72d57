"""The part of a training step that follows the loss."""

from __future__ import annotations

import torch
from torch import Tensor


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
