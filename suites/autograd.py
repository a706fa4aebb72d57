"""Derivatives: the cost of recording, backward and its alternatives, higher and per-sample derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.mlp import GRADIENT_TOLERANCE, cost, digits, layers, parameters, widths
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

suite = Suite("autograd", "Forward, backward and higher derivatives")

FLOAT = 4  # bytes of a float32
EAGER = ("eager",)
EAGER_FIRST = Axis(quick=["eager"], full=["compile"])
FP32_FIRST = Axis(quick=["fp32"], full=["bf16", "tf32"])
BATCH = 100


# The cost of recording a graph in the forward pass


def model_and_images(device: torch.device, batch: int) -> tuple[nn.Module, Tensor]:
    return layers(784, 100, 10).to(device), torch.rand(batch, 784, device=device)


def forward_no_grad(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


def forward_inference_mode(model: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(x)  # type: ignore[no-any-return]


suite.compare(
    "forward",
    {
        "with_gradient": lambda model, x: model(x),
        "no_grad": forward_no_grad,
        "inference_mode": forward_inference_mode,
    },
    about="Forward pass of 784-100-10, recording a graph or not",
    inputs=model_and_images,
    axes={"batch": Axis(quick=[100], default=[1000], on={"cuda": Axis(quick=[8192], full=[100])})},
    modes=EAGER_FIRST,
    precisions=FP32_FIRST,
    cost=lambda batch: cost(batch, 784, 100, 10, training=False),
)

# Gradients of small functions


def backward(function: Any, *arguments: Tensor) -> list[Tensor | None]:
    """The gradients of the arguments after ``backward``; they are cleared first."""
    for argument in arguments:
        argument.grad = None
    function(*arguments).backward()
    return [argument.grad for argument in arguments]


def product_of_sum(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return ((x + y) * z).sum()


def product_of_sum_by_hand(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return z.clone(), z.clone(), x + y


suite.compare(
    "product_of_sum",
    {
        "backward": lambda x, y, z: backward(product_of_sum, x, y, z),
        "grad": lambda x, y, z: torch.autograd.grad(product_of_sum(x, y, z), (x, y, z)),
        "func_grad": lambda x, y, z: torch.func.grad(product_of_sum, argnums=(0, 1, 2))(
            x.detach(), y.detach(), z.detach()
        ),
        "by_hand": product_of_sum_by_hand,
    },
    about="Gradients of (x + y)·z, summed over n values",
    inputs=lambda device, n: tuple(torch.randn(n, device=device).requires_grad_() for _ in range(3)),
    axes={"n": Axis(default=[1], full=[1_000_000], on={"cuda": Axis(full=[1, 100_000_000])})},
    modes=EAGER,
    cost=lambda n: Cost(flops=float(n), bytes=6.0 * FLOAT * n),
)


def mean_square(x: Tensor) -> Tensor:
    return ((x - 1) ** 2 + 4).mean()


def mean_square_by_hand(x: Tensor) -> Tensor:
    with torch.no_grad():
        return (x - 1) * (2 / x.numel())


suite.compare(
    "mean_square",
    {
        "backward": lambda x: backward(mean_square, x),
        "grad": lambda x: torch.autograd.grad(mean_square(x), x),
        "func_grad": lambda x: torch.func.grad(mean_square)(x.detach()),
        "by_hand": mean_square_by_hand,
    },
    about="Gradient of mean((x − 1)² + 4) over n values",
    inputs=lambda device, n: (torch.randn(n, device=device).requires_grad_(),),
    axes={"n": Axis(default=[1_000_000], full=[4, 10_000_000], on={"cuda": Axis(default=[100_000_000], full=[4])})},
    modes=EAGER,
    cost=lambda n: Cost(flops=2.0 * n, bytes=2.0 * FLOAT * n),
)

# Gradients of a model


def model_and_digits(device: torch.device, model: str, batch: int = BATCH) -> tuple[nn.Module, Tensor, Tensor]:
    x, y = digits(batch, widths(model)[0])
    return layers(*widths(model)).to(device), x.to(device), y.to(device)


def loss_of(parameters: Mapping[str, Tensor], model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(torch.func.functional_call(model, dict(parameters), (x,)), y)


def model_backward(model: nn.Module, x: Tensor, y: Tensor) -> list[Tensor | None]:
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    return [parameter.grad for parameter in model.parameters()]


def model_grad(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(F.cross_entropy(model(x), y), tuple(model.parameters()))


def model_func_grad(model: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    gradients = torch.func.grad(loss_of)(weights, model, x, y)
    return list(gradients.values())


suite.compare(
    "model_gradients",
    {"backward": model_backward, "grad": model_grad, "func_grad": model_func_grad},
    about="Forward and backward pass of a multi-layer perceptron, batch 100",
    inputs=model_and_digits,
    axes={
        "model": Axis(
            default=["784-100-10", "784-512-512-10"],
            on={"cuda": Axis(default=["784-4096-4096-10"], full=["784-512-512-10"])},
        )
    },
    modes=EAGER,
    precisions=FP32_FIRST,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda model: cost(BATCH, *widths(model)),
)

# One gradient per sample


def per_sample_loop(model: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    rows = [model_grad(model, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    return [torch.stack(gradients) for gradients in zip(*rows, strict=True)]


def sample_loss(parameters: Mapping[str, Tensor], model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return loss_of(parameters, model, x[None], y[None])


def per_sample_vmap(model: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    gradient_of_each = torch.func.vmap(torch.func.grad(sample_loss), in_dims=(None, None, 0, 0))
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return list(gradient_of_each(parameters, model, x, y).values())


suite.compare(
    "per_sample_gradients",
    {"loop": per_sample_loop, "vmap": per_sample_vmap},
    about="A gradient of 784-100-10 for each sample of a batch",
    inputs=lambda device, batch: model_and_digits(device, "784-100-10", batch),
    axes={"batch": Axis(default=[32], full=[100], on={"cuda": Axis(default=[100])})},
    modes=EAGER,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda batch: replace(
        cost(batch, 784, 100, 10), bytes=float(FLOAT * ((1 + batch) * parameters(784, 100, 10) + 784 * batch))
    ),
)

# Second derivatives and forward mode


def sine(x: Tensor) -> Tensor:
    return x.sin().sum()


def second_by_double_backward(x: Tensor) -> Tensor:
    (first,) = torch.autograd.grad(sine(x), x, create_graph=True)
    return torch.autograd.grad(first.sum(), x)[0]


def second_by_forward_over_reverse(x: Tensor) -> Tensor:
    x = x.detach()
    return torch.func.jvp(torch.func.grad(sine), (x,), (torch.ones_like(x),))[1]  # type: ignore[no-any-return]


suite.compare(
    "second_derivative",
    {
        "double_backward": second_by_double_backward,
        "forward_over_reverse": second_by_forward_over_reverse,
        "by_hand": lambda x: -x.detach().sin(),
    },
    about="Second derivative of the sine at n values",
    inputs=lambda device, n: (torch.randn(n, device=device).requires_grad_(),),
    axes={"n": Axis(default=[10_000], full=[10_000_000], on={"cuda": Axis(full=[100_000_000])})},
    modes=EAGER,
    cost=lambda n: Cost(flops=float(n), bytes=2.0 * FLOAT * n),
)


def smooth_inputs(device: torch.device, width: int) -> tuple[Tensor, ...]:
    """The weights of an MLP with a tanh, a direction for each, 100 samples and their targets."""
    w1, w2 = torch.randn(width, width) / width**0.5, torch.randn(width, 1) / width**0.5
    directions = torch.randn_like(w1), torch.randn_like(w2)
    x, y = torch.randn(BATCH, width), torch.randn(BATCH, 1)
    trainable = (w1.to(device).requires_grad_(), w2.to(device).requires_grad_())
    return *trainable, *(value.to(device) for value in (*directions, x, y))


def smooth_loss(w1: Tensor, w2: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return ((torch.tanh(x @ w1) @ w2 - y) ** 2).mean()  # F.mse_loss has no forward mode over its gradient


def hessian_double_backward(w1: Tensor, w2: Tensor, v1: Tensor, v2: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    first = torch.autograd.grad(smooth_loss(w1, w2, x, y), (w1, w2), create_graph=True)
    return torch.autograd.grad(first, (w1, w2), (v1, v2))


def hessian_jvp_of_grad(w1: Tensor, w2: Tensor, v1: Tensor, v2: Tensor, x: Tensor, y: Tensor) -> Sequence[Tensor]:
    def gradients(w1: Tensor, w2: Tensor) -> Any:
        return torch.func.grad(smooth_loss, argnums=(0, 1))(w1, w2, x, y)

    return torch.func.jvp(gradients, (w1.detach(), w2.detach()), (v1, v2))[1]  # type: ignore[no-any-return]


suite.compare(
    "hessian_vector_product",
    {"double_backward": hessian_double_backward, "jvp_of_grad": hessian_jvp_of_grad},
    about="Hessian of a loss times a vector: reverse over reverse, and forward over reverse",
    inputs=smooth_inputs,
    axes={"width": Axis(default=[256], full=[2048], on={"cuda": Axis(default=[4096])})},
    modes=EAGER,
)


def directional_reverse(w1: Tensor, w2: Tensor, v1: Tensor, v2: Tensor, x: Tensor, y: Tensor) -> Tensor:
    g1, g2 = torch.autograd.grad(smooth_loss(w1, w2, x, y), (w1, w2))
    return (g1 * v1).sum() + (g2 * v2).sum()


def directional_forward(w1: Tensor, w2: Tensor, v1: Tensor, v2: Tensor, x: Tensor, y: Tensor) -> Tensor:
    def loss(w1: Tensor, w2: Tensor) -> Tensor:
        return smooth_loss(w1, w2, x, y)

    return torch.func.jvp(loss, (w1.detach(), w2.detach()), (v1, v2))[1]  # type: ignore[no-any-return]


suite.compare(
    "directional_derivative",
    {"reverse_mode": directional_reverse, "forward_mode": directional_forward},
    about="Derivative of a loss in one direction: a gradient times it, and forward mode",
    inputs=smooth_inputs,
    axes={"width": Axis(default=[256], full=[2048], on={"cuda": Axis(full=[4096])})},
    modes=EAGER,
    # Forward mode: x·W and x·V for the hidden layer, then h·w, h'·w and h·v for the output.
    cost=lambda width: Cost(flops=2.0 * BATCH * (2 * width * width + 3 * width)),
)
