"""Convolutional networks on 28×28 images: training and inference steps, memory format, training mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.devices import is_host
from torchduet.suites.mlp import Autocast
from torchduet.suites.steps import FORMATS, cost_of, seconds_of
from torchduet.suites.suite import Suite
from torchduet.suites.vision.resnet import RESNETS
from torchduet.suites.workload import Axis, Cost, Implementation

suite = Suite("convnet", "Training and inference steps of small convolutional networks")

Network = Callable[[], nn.Module]
EAGER = ("eager",)
FP32_FIRST = Axis(
    quick=["fp32"],
    default=["tf32"],
    full=["bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32"], full=["bf16-pure"])},
)
# fp16-pure is for inference on GPUs, for the reasons of torchduet.suites.mlp.
INFERRED = Axis(
    quick=["fp32"],
    default=["tf32"],
    full=["bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32"], full=["bf16-pure", "fp16-pure"])},
)

# As in torchduet.suites.mlp: rounding turns units on or off near zero; here it also changes which of four is greatest.
GRADIENT_TOLERANCE = {"bf16": 0.2, "tf32": 0.1, "fp32": 1e-3}

# As in torchduet.suites.mlp, for up to 17 layers of ReLUs: measured are 0.006 in fp32 and 0.35 in bf16, of ResNet-18.
RESNET_TOLERANCE = {"bf16": 0.5, "tf32": 0.25, "fp32": 2e-2}


def two_layer() -> nn.Sequential:
    """Two convolutions with ReLU and max-pooling, one linear layer: 1×28×28 to 10 classes."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    )


def lenet5() -> nn.Sequential:
    """LeNet-5 (LeCun et al. 1998), with a linear last layer and a padding of 2 for 28×28 images."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(16 * 5 * 5, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )


def regularised() -> nn.Sequential:
    """The two-layer network with batch normalisation and dropout, which differ between training and evaluation."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(32 * 7 * 7, 10)),
    )


# Multiply-adds per image, layer by layer: output positions × output channels × summands of each value.
MULTIPLY_ADDS: dict[Network, tuple[int, ...]] = {
    two_layer: (28 * 28 * 16 * 25, 14 * 14 * 32 * 16 * 25, 32 * 7 * 7 * 10),
    lenet5: (28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10),
}


def cost(network: Network, batch: int, training: bool) -> Cost:
    """The cost of convolutions and linear layers."""
    return cost_of(MULTIPLY_ADDS[network], batch, training)


def images(batch: int) -> tuple[Tensor, Tensor]:
    """Images (batch, 1, 28, 28) with pixels in [0, 1], and their classes, 0 to 9."""
    return torch.rand(batch, 1, 28, 28), torch.randint(10, (batch,))


def inputs_of(network: Network) -> Callable[..., tuple[Any, ...]]:
    """Inputs for both memory formats, with equal weights: model, optimizer and images of each, and the classes."""

    def inputs(device: torch.device, batch: int) -> tuple[Any, ...]:
        x, y = images(batch)
        arguments: list[Any] = []
        contiguous = network().to(device)
        for memory_format in (torch.contiguous_format, torch.channels_last):
            model = copy.deepcopy(contiguous).to(memory_format=memory_format)  # type: ignore[call-overload]
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            arguments += [model, optimizer, x.to(device, memory_format=memory_format)]
        return *arguments, y.to(device)

    return inputs


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast
) -> tuple[Tensor, nn.Module]:
    optimizer.zero_grad()
    with autocast():
        loss = F.cross_entropy(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach(), model


def train_contiguous(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    _model: nn.Module,
    _optimizer: torch.optim.Optimizer,
    _x: Tensor,
    y: Tensor,
    autocast: Autocast,
) -> tuple[Tensor, nn.Module]:
    return training_step(model, optimizer, x, y, autocast)


def train_channels_last(
    _model: nn.Module,
    _optimizer: torch.optim.Optimizer,
    _x: Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    autocast: Autocast,
) -> tuple[Tensor, nn.Module]:
    return training_step(model, optimizer, x, y, autocast)


def step_state(inputs: Sequence[Any], result: tuple[Tensor, nn.Module]) -> tuple[Any, ...]:
    """The values by which a training step is checked: loss, gradients and new parameters of the trained model."""
    del inputs
    loss, model = result
    parameters = list(model.parameters())
    return loss, [parameter.grad for parameter in parameters], parameters


def infer_contiguous(model: nn.Module, _: object, x: Tensor, *rest: object) -> Tensor:
    del rest
    with torch.inference_mode():
        return model(x)  # type: ignore[no-any-return]


def infer_channels_last(*inputs: Any) -> Tensor:
    return infer_contiguous(*inputs[3:])


def training(name: str, about: str, network: Network, batch: Axis, precisions: Axis) -> None:
    """Add training steps of a network in both memory formats."""
    suite.compare(
        name,
        {"contiguous": train_contiguous, "channels_last": Implementation(train_channels_last, modes=EAGER)},
        about=f"Training step of {about}: cross-entropy, SGD",
        inputs=inputs_of(network),
        axes={"batch": batch},
        modes=Axis(quick=["eager"], default=["compile-model"]),
        precisions=precisions,
        observe=step_state,
        tolerance=GRADIENT_TOLERANCE,
        cost=lambda batch: cost(network, batch, training=True),
        # under bf16 autocast on a CPU; a third of that in fp32
        call_seconds=lambda batch, device: 0.03 if is_host(device) else 0.0,  # noqa: ARG005
    )


def inference(name: str, about: str, network: Network, batch: Axis, modes: Axis) -> None:
    """Add inference steps of a network in both memory formats."""
    suite.compare(
        name,
        {"contiguous": infer_contiguous, "channels_last": Implementation(infer_channels_last, modes=EAGER)},
        about=f"Inference step of {about}: logits under inference_mode",
        inputs=inputs_of(network),
        axes={"batch": batch},
        modes=modes,
        precisions=INFERRED,
        cost=lambda batch: cost(network, batch, training=False),
    )


TWO_LAYER, LENET5 = "two convolutions and a linear layer", "LeNet-5"
training("train_lenet5", LENET5, lenet5, Axis(quick=[32], full=[256], on={"cuda": Axis(default=[1024])}), FP32_FIRST)
training(
    "train_two_layer", TWO_LAYER, two_layer, Axis(default=[32], full=[256], on={"cuda": Axis(full=[1024])}), FP32_FIRST
)
inference(
    "infer_lenet5",
    LENET5,
    lenet5,
    Axis(default=[32], full=[256], on={"cuda": Axis(default=[1024])}),
    Axis(quick=["eager"], default=["compile-model"]),
)
inference(
    "infer_two_layer",
    TWO_LAYER,
    two_layer,
    Axis(default=[32], full=[256], on={"cuda": Axis(full=[1024])}),
    Axis(quick=["eager"], full=["compile-model"]),
)


def resnet_inputs(device: torch.device, network: str, batch: int) -> tuple[Any, ...]:
    """A residual network, its optimizer, and random images (batch, 3, n, n) with their classes."""
    architecture = RESNETS[network]
    model = architecture.network().to(device)
    x = torch.randn(batch, 3, architecture.pixels, architecture.pixels, device=device)
    y = torch.randint(architecture.classes, (batch,), device=device)
    return model, torch.optim.SGD(model.parameters(), lr=0.01), x, y


def whole_state(inputs: Sequence[Any], result: tuple[Tensor, nn.Module]) -> tuple[Any, ...]:
    """The values by which the step of a residual network is checked: loss, a vector of gradients, one of parameters.

    A unit that is rounded to the other side of zero changes small gradients behind it much, the whole vector little.
    """
    loss, gradients, parameters = step_state(inputs, result)
    return loss, *(torch.cat([value.flatten() for value in values]) for values in (gradients, parameters))


def resnet_cost(network: str, batch: int) -> Cost:
    """The cost of the convolutions and the linear layer."""
    return cost_of(RESNETS[network].multiply_adds(), batch, training=True)


suite.compare(
    "train_resnet",
    {"step": training_step},
    about="Training step of a residual network (8 or 18 layers): cross-entropy, SGD",
    inputs=resnet_inputs,
    axes={
        "network": Axis(
            default=["resnet8"], full=["resnet18"], on={"cuda": Axis(quick=["resnet18"], full=["resnet8"])}
        ),
        "batch": Axis(quick=[16], on={"cuda": Axis(quick=[128], full=[16])}),
    },
    modes=Axis(quick=["eager"], full=["compile-model"], on={"cuda": Axis(quick=["eager"], default=["compile-model"])}),
    precisions=FP32_FIRST,
    knobs=FORMATS,
    observe=whole_state,
    tolerance=RESNET_TOLERANCE,
    cost=resnet_cost,
    call_seconds=seconds_of(resnet_cost),
)


def both_modes(device: torch.device, batch: int) -> tuple[nn.Module, nn.Module, Tensor]:
    """One network in training mode, a copy of it in evaluation mode, and images."""
    model = regularised().to(device)
    return model, copy.deepcopy(model).eval(), images(batch)[0].to(device)


def evaluate_no_grad(_: nn.Module, model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


suite.compare(
    "mode",
    {
        "train": lambda model, _, x: model(x),
        "evaluate": lambda _, model, x: model(x),
        "evaluate_no_grad": evaluate_no_grad,
    },
    about="Forward pass with batch normalisation and dropout: training mode, evaluation mode, and that under no_grad",
    inputs=both_modes,
    axes={"batch": Axis(default=[100], full=[1000], on={"cuda": Axis(default=[1000])})},
    modes=Axis(quick=["eager"], full=["compile-model"]),
    deterministic=False,  # dropout is random, and the two modes normalise by different statistics
    cost=lambda batch: cost(two_layer, batch, training=False),
)
