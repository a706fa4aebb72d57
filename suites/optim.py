"""Optimizer steps: one parameter after the other, all at once, fused; and the cost of a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import StepLR

from torchduet.suites import mlp
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation

suite = Suite("optim", "Optimizer steps: for-loop, foreach and fused")

FLOAT = 4  # bytes of a float32
Make = Callable[..., Optimizer]
OPTIONS: dict[str, dict[str, bool]] = {
    "for_loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
COUNT, VALUES = 50, 1000  # many small parameters
WIDTHS = (784, 512, 512, 10)
SMALL, MLP = f"{COUNT}x{VALUES}", "-".join(map(str, WIDTHS))
LARGE = "100x1000000"  # 0.4 GB, as of a language model of 100 million parameters


def trainable(parameters: str) -> nn.Module:
    """Many small or large parameters, or those of a multi-layer perceptron."""
    if parameters == MLP:
        return mlp.layers(*WIDTHS)
    count, values = map(int, parameters.split("x"))
    return nn.ParameterList(0.02 * torch.randn(values) for _ in range(count))


def number(parameters: str) -> int:
    """How many values the parameters hold."""
    return mlp.parameters(*WIDTHS) if parameters == MLP else math.prod(map(int, parameters.split("x")))


def traffic(parameters: str, state: int) -> Cost:
    """The cost: gradients are read; parameters and optimizer state (``state`` values each) are read and written."""
    return Cost(bytes=float(FLOAT * (3 + 2 * state) * number(parameters)))


def inputs_of(make: Make, options: Mapping[str, Mapping[str, bool]]) -> Callable[..., tuple[Any, ...]]:
    """Inputs: a model, a gradient for each of its parameters, and one optimizer per implementation."""

    def inputs(device: torch.device, parameters: str) -> tuple[Any, ...]:
        model = trainable(parameters).to(device)
        gradients = [torch.randn_like(parameter) for parameter in model.parameters()]
        return model, gradients, {name: make(model.parameters(), **flags) for name, flags in options.items()}

    return inputs


def stepping(name: str, schedule: bool = False) -> Callable[..., Callable[..., None]]:
    """The setup of an implementation: it sets the gradients, so that a call is a step and nothing else."""

    def setup(
        model: nn.Module, gradients: Sequence[Tensor], optimizers: Mapping[str, Optimizer]
    ) -> Callable[..., None]:
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient

        def step(model: nn.Module, gradients: Sequence[Tensor], optimizers: Mapping[str, Optimizer]) -> None:
            del model, gradients
            optimizers[name].step()

        if not schedule:
            return step
        # Never reached: if the rate changed, the last placements would compute something else.
        scheduler = StepLR(optimizers[name], step_size=10**9)

        def scheduled(model: nn.Module, gradients: Sequence[Tensor], optimizers: Mapping[str, Optimizer]) -> None:
            del model, gradients
            optimizers[name].step()
            scheduler.step()

        return scheduled

    return setup


def new_parameters(inputs: Sequence[Any], result: object) -> list[Tensor]:
    """The values by which a step is checked."""
    del result
    return list(inputs[0].parameters())


def momentum(parameters: Any, **options: bool) -> Optimizer:
    return SGD(parameters, lr=0.01, momentum=0.9, **options)


def against_each_other(name: str, about: str, make: Make, state: int, sizes: Axis) -> None:
    """Add a workload: an optimizer in its three implementations; torch.compile is for foreach only."""
    suite.compare(
        name,
        {
            key: Implementation(stepping(key), setup=True, modes=None if key == "foreach" else ("eager",))
            for key in OPTIONS
        },
        about=f"{about}, one step with given gradients",
        inputs=inputs_of(make, OPTIONS),
        axes={"parameters": sizes},
        modes=Axis(quick=["eager"], full=["compile"]),
        observe=new_parameters,
        cost=lambda parameters: traffic(parameters, state),
    )


against_each_other(
    "sgd", "SGD with momentum 0.9", momentum, 1, Axis(default=[SMALL, MLP], on={"cuda": Axis(default=[MLP])})
)
against_each_other(
    "adam", "Adam", Adam, 2, Axis(quick=[SMALL], default=[MLP], on={"cuda": Axis(quick=[LARGE], default=[SMALL])})
)
against_each_other("adamw", "AdamW", AdamW, 2, Axis(default=[MLP], full=[SMALL], on={"cuda": Axis(default=[LARGE])}))

suite.compare(
    "step_lr",
    {
        "no_schedule": Implementation(stepping("no_schedule"), setup=True),
        "step_lr": Implementation(stepping("step_lr", schedule=True), setup=True),
    },
    about="SGD with momentum 0.9, alone and followed by a step of StepLR",
    inputs=inputs_of(momentum, {"no_schedule": {}, "step_lr": {}}),
    axes={"parameters": Axis(default=[SMALL], full=[MLP], on={"cuda": Axis(full=[SMALL])})},
    modes=("eager",),
    observe=new_parameters,
    cost=lambda parameters: traffic(parameters, 1),
)
