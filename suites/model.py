"""A user's own module as workloads: its training step and its inference step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from torchduet.suites.steps import backward_and_step

STATE_TOLERANCE = {
    "bf16": 0.15,
    "tf32": 0.05,
    "fp16": 0.05,
}  # of gradients: see torchduet.suites.mlp.GRADIENT_TOLERANCE


def for_inference(make_inputs: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The same inputs, with the module in evaluation mode."""

    def inputs_for_evaluation(device: torch.device, **size: Any) -> tuple[Any, ...]:
        module, *rest = make_inputs(device, **size)
        return module.eval(), *rest

    return inputs_for_evaluation


def inputs(
    make: Callable[[], torch.nn.Module],
    data: Callable[[int], Sequence[torch.Tensor]],
    optimizer: Callable[[Any], torch.optim.Optimizer],
) -> Callable[..., tuple[Any, ...]]:
    """The inputs of both steps: (module, optimiser, target, *inputs of the module)."""

    def make_inputs(device: torch.device, batch: int) -> tuple[Any, ...]:
        module = make().to(device)
        *arguments, target = (tensor.to(device) for tensor in data(batch))
        return module, optimizer(module.parameters()), target, *arguments

    return make_inputs


def training_step(loss: Callable[[Any, torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """zero_grad, forward and loss under autocast, backward, optimiser step; with fp16 the loss is scaled."""

    def step(
        module: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        target: torch.Tensor,
        *arguments: torch.Tensor,
        autocast: Callable[[], Any],
        scaler: torch.amp.GradScaler | None = None,
    ) -> torch.Tensor:
        optimizer.zero_grad()
        with autocast():
            value = loss(module(*arguments), target)
        backward_and_step(value, optimizer, scaler)
        return value.detach()

    return step


def inference_step(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    target: torch.Tensor,
    *arguments: torch.Tensor,
    autocast: Callable[[], Any],
) -> Any:
    """The output of the module, in evaluation mode, under no_grad."""
    del optimizer, target
    with torch.no_grad(), autocast():
        return module(*arguments)


def state(inputs: Sequence[Any], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The values by which a training step is checked, by name: the loss, the gradients and the new parameters."""
    parameters = {name.replace("_orig_mod.", ""): value for name, value in inputs[0].named_parameters()}
    gradients = {f"gradient of {name}": value.grad for name, value in parameters.items() if value.grad is not None}
    return {"loss": loss, **gradients, **parameters}
