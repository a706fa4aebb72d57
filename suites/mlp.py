"""Multi-layer perceptrons: full training steps and evaluation steps of widely taught models."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.steps import backward_and_step
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost

suite = Suite("mlp", "Training and evaluation steps of multi-layer perceptrons")

FLOAT = 4  # bytes of a float32
Autocast = Callable[[], AbstractContextManager[object]]
Scaler = torch.amp.GradScaler | None
MODES = Axis(quick=["eager", "compile"], default=["compile-model", "reduce-overhead", "graph"])
MODES_LATER = Axis(quick=["eager"], default=["compile-model"], full=["compile"])
LAST = Axis(quick=["eager"], full=["compile", "compile-model"])
# fp16-pure is for inference on GPUs. Without a scaled loss small gradients are zero in fp16, and so is Adam's epsilon
# of 1e-8, by which it then divides; and CPUs without instructions for fp16 take many times as long as in fp32.
PRECISIONS = Axis(quick=["fp32", "bf16", "tf32"], default=["fp16", "bf16-pure"])
EVALUATED = Axis(
    quick=["fp32"],
    default=["tf32"],
    full=["bf16", "bf16-pure", "fp16"],
    on={"cuda": Axis(quick=["fp32"], default=["tf32", "bf16", "bf16-pure"], full=["fp16", "fp16-pure"])},
)
PRECISIONS_LATER = Axis(
    quick=["fp32"],
    default=["tf32"],
    full=["bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32", "bf16"], default=["tf32", "bf16-pure"])},
)
ON_CUDA = {"cuda": Axis(quick=["fp32", "bf16"], default=["tf32", "bf16-pure"], full=["fp16-pure"])}
EVALUATED_SOON = Axis(quick=["fp32"], default=["tf32", "bf16", "bf16-pure"], on=ON_CUDA)
EVALUATED_LATER = Axis(quick=["fp32"], default=["tf32"], full=["bf16", "bf16-pure"], on=ON_CUDA)

# Rounding to p bits turns a ReLU on or off where its input is within 2**-p of zero: about that share of
# the units, and so about the square root of it of a gradient's norm, per layer of ReLUs (bf16: 0.06,
# TF32 and fp16: 0.02, fp32: 0.0003). The bounds leave room for two layers and the rounding itself.
GRADIENT_TOLERANCE = {"bf16": 0.15, "tf32": 0.05, "fp16": 0.05, "fp32": 1e-3}


def layers(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with ReLU between them."""
    modules: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        modules += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def widths(model: str) -> tuple[int, ...]:
    """``"784-100-10"`` as numbers."""
    return tuple(int(width) for width in model.split("-"))


def parameters(*widths: int) -> int:
    """How many weights and biases ``layers`` of these widths have."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(widths))


def cost(batch: int, *widths: int, training: bool = True) -> Cost:
    """Two operations per weight and sample forward, and twice that again backward (Kaplan et al. 2020, §2.1),
    except in the first layer: the gradient of its input is not computed, so it needs them once.

    Bytes: parameters and inputs are read, outputs are written; training reads its inputs and
    parameters, and writes a gradient and a new value for each of these.
    """
    weights = sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(widths))
    moved = 3 * parameters(*widths) if training else parameters(*widths) + batch * widths[-1]
    return Cost(
        flops=2.0 * batch * (3 * weights - widths[0] * widths[1] if training else weights),
        bytes=float(FLOAT * (moved + batch * widths[0])),
        samples=batch,
    )


def digits(batch: int, features: int = 784, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Images with pixels in [0, 1] and labels from a fixed random linear teacher, so that they can be learned."""
    x = torch.rand(batch, features)
    return x, ((x - 0.5) @ torch.randn(features, classes)).argmax(dim=1)


def step_state(inputs: Sequence[Any], loss: Tensor) -> tuple[Any, ...]:
    """The values by which a training step is checked: the loss, the gradients and the new parameters."""
    parameters = list(inputs[0].parameters())
    return loss, [parameter.grad for parameter in parameters], parameters


def classify(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast, scaler: Scaler = None
) -> Tensor:
    optimizer.zero_grad()
    with autocast():
        loss = F.cross_entropy(model(x), y)
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def logits(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast) -> Tensor:
    del optimizer, y
    with torch.no_grad(), autocast():
        return model(x)  # type: ignore[no-any-return]


def small_inputs(device: torch.device, batch: int) -> tuple[Any, ...]:
    model = layers(784, 100, 10).to(device)
    x, y = digits(batch)
    return model, torch.optim.Adam(model.parameters()), x.to(device), y.to(device)


@suite.workload(
    inputs=small_inputs,
    axes={"batch": Axis(quick=[100], default=[1000], on={"cuda": Axis(quick=[4096], default=[100], full=[65_536])})},
    modes=MODES,
    precisions=PRECISIONS,
    observe=step_state,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda batch: cost(batch, 784, 100, 10),
)
def train_784_100_10(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast, scaler: Scaler = None
) -> Tensor:
    """Training step: 784-100-10, ReLU, cross-entropy, Adam"""
    return classify(model, optimizer, x, y, autocast, scaler)


@suite.workload(
    inputs=small_inputs,
    axes={"batch": Axis(quick=[100], default=[1000], on={"cuda": Axis(default=[8192], full=[100])})},
    modes=Axis(quick=["eager"], default=["compile-model", "graph"], full=["compile"]),
    precisions=EVALUATED,
    cost=lambda batch: cost(batch, 784, 100, 10, training=False),
)
def evaluate_784_100_10(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast
) -> Tensor:
    """Evaluation step: 784-100-10, logits under no_grad"""
    return logits(model, optimizer, x, y, autocast)


def wide_inputs(device: torch.device, batch: int, width: int = 512) -> tuple[Any, ...]:
    model = layers(784, width, width, 10).to(device)
    x, y = digits(batch)
    return model, torch.optim.SGD(model.parameters(), lr=1e-3), x.to(device), y.to(device)


@suite.workload(
    inputs=wide_inputs,
    axes={"batch": Axis(quick=[32], default=[512], on={"cuda": Axis(default=[8192], full=[32])})},
    modes=MODES_LATER,
    precisions=PRECISIONS_LATER,
    observe=step_state,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda batch: cost(batch, 784, 512, 512, 10),
)
def train_784_512_512_10(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast, scaler: Scaler = None
) -> Tensor:
    """Training step: 784-512-512-10, ReLU, cross-entropy, SGD 1e-3"""
    return classify(model, optimizer, x, y, autocast, scaler)


@suite.workload(
    inputs=wide_inputs,
    axes={"batch": Axis(default=[32], full=[512], on={"cuda": Axis(full=[8192])})},
    modes=LAST,
    precisions=EVALUATED_SOON,
    cost=lambda batch: cost(batch, 784, 512, 512, 10, training=False),
)
def evaluate_784_512_512_10(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast
) -> Tensor:
    """Evaluation step: 784-512-512-10, logits under no_grad"""
    return logits(model, optimizer, x, y, autocast)


@suite.workload(
    inputs=lambda device, batch: wide_inputs(device, batch, 4096),
    axes={"batch": Axis(full=[32], on={"cuda": Axis(quick=[4096], full=[16_384])})},
    modes=MODES_LATER,
    precisions=PRECISIONS_LATER,
    observe=step_state,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda batch: cost(batch, 784, 4096, 4096, 10),
)
def train_784_4096_4096_10(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast, scaler: Scaler = None
) -> Tensor:
    """Training step: 784-4096-4096-10, ReLU, cross-entropy, SGD 1e-3: work for a GPU"""
    return classify(model, optimizer, x, y, autocast, scaler)


def by_hand_inputs(device: torch.device, rows: int) -> tuple[Tensor, ...]:
    x, y = digits(rows)
    weights = [torch.randn(784, 100) / 784**0.5, torch.zeros(100), torch.randn(100, 10) / 10.0, torch.zeros(10)]
    return *(weight.to(device).requires_grad_() for weight in weights), x.to(device), y.to(device)


@suite.workload(
    inputs=by_hand_inputs,
    axes={"rows": Axis(default=[1000, 10_000], full=[60_000], on={"cuda": Axis(default=[60_000])})},
    modes=Axis(quick=["eager"], default=["compile"]),
    precisions=PRECISIONS_LATER,
    observe=lambda inputs, loss: (loss, inputs[:4]),
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda rows: cost(rows, 784, 100, 10),
)
def train_by_hand(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, x: Tensor, y: Tensor, autocast: Autocast) -> Tensor:
    """Training step by hand: 784-100-10, full batch, learning rate 0.8, weights updated under no_grad"""
    with autocast():
        loss = F.cross_entropy(torch.relu(x @ w1 + b1) @ w2 + b2, y)
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for weight in (w1, b1, w2, b2):
            assert weight.grad is not None
            weight -= 0.8 * weight.grad
            weight.grad.zero_()
    return loss.detach()


@suite.workload(
    inputs=by_hand_inputs,
    axes={"rows": Axis(default=[10_000], full=[60_000], on={"cuda": Axis(full=[60_000])})},
    modes=Axis(quick=["eager"], full=["compile"]),
    precisions=EVALUATED_LATER,
    cost=lambda rows: cost(rows, 784, 100, 10, training=False),
)
def evaluate_by_hand(
    w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, x: Tensor, y: Tensor, autocast: Autocast
) -> Tensor:
    """Evaluation step by hand: 784-100-10, logits under no_grad"""
    del y
    with torch.no_grad(), autocast():
        return torch.relu(x @ w1 + b1) @ w2 + b2


def regression_inputs(device: torch.device, rows: int) -> tuple[Any, ...]:
    model = layers(10, 100, 1).to(device)
    x = torch.randn(rows, 10)
    y = torch.sin(x @ torch.randn(10, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.01), x.to(device), y.to(device)


@suite.workload(
    inputs=regression_inputs,
    axes={
        "rows": Axis(
            quick=[10_000], default=[100_000], full=[2_000_000], on={"cuda": Axis(default=[2_000_000], full=[10_000])}
        )
    },
    modes=MODES_LATER,
    precisions=PRECISIONS_LATER,
    observe=step_state,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda rows: cost(rows, 10, 100, 1),
)
def train_10_100_1(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast
) -> Tensor:
    """Training step: 10-100-1, ReLU, mean squared error, Adam 0.01, all rows at once"""
    optimizer.zero_grad()
    with autocast():
        loss = F.mse_loss(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


@suite.workload(
    inputs=regression_inputs,
    axes={"rows": Axis(default=[10_000], full=[2_000_000], on={"cuda": Axis(full=[2_000_000])})},
    modes=LAST,
    precisions=EVALUATED_LATER,
    cost=lambda rows: cost(rows, 10, 100, 1, training=False),
)
def evaluate_10_100_1(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, autocast: Autocast
) -> Tensor:
    """Evaluation step: 10-100-1, predictions under no_grad"""
    return logits(model, optimizer, x, y, autocast)
