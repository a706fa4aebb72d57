"""Workloads for compiled cases."""

import itertools

import torch
import torch.nn.functional as F

from torchduet import Suite

suite = Suite("compiled")
counter = itertools.count()


def model(device: torch.device):  # type: ignore[no-untyped-def]
    net = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).to(device)
    return net, torch.optim.SGD(net.parameters(), 0.01), torch.randn(16, 8), torch.randint(2, (16,))


@suite.workload(
    inputs=model,
    modes=["eager", "compile", "compile-model"],
    precisions=["fp32", "bf16"],
    observe=lambda inputs, loss: (loss, [p.grad for p in inputs[0].parameters()], list(inputs[0].parameters())),
)
def train(net, optimizer, x, y, autocast):  # type: ignore[no-untyped-def]
    """A training step."""
    optimizer.zero_grad()
    with autocast():
        loss = F.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def restless_inputs(device: torch.device):  # type: ignore[no-untyped-def]
    return (torch.ones(4, device=device),)


class Restless:
    """Changes its kind after some calls, which compiled code must notice; an input would be put back."""

    calls = 0
    kind: object = 1


@torch.compiler.disable
def tick() -> None:
    Restless.calls += 1
    Restless.kind = 1 if Restless.calls < 60 else 1.0


@suite.workload(inputs=restless_inputs, modes=["eager", "compile"])
def restless(x: torch.Tensor) -> torch.Tensor:
    """Recompiles after a while."""
    tick()
    return x * Restless.kind  # type: ignore[operator]


def critic_inputs(device: torch.device):  # type: ignore[no-untyped-def]
    net = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).to(device)
    return net, torch.randn(16, 8, device=device).requires_grad_()


@suite.workload(inputs=critic_inputs, modes=["eager", "compile-model"])
def penalty(net, x):  # type: ignore[no-untyped-def]
    """The gradients of a gradient's norm: torch.compile does not support them."""
    (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return torch.autograd.grad(gradient.norm(), [p for p in net.parameters() if p.dim() > 1])


@suite.workload(inputs=lambda device: (torch.nn.LSTM(8, 8, device=device), torch.randn(4, 2, 8, device=device)))
def reads_lstm(layer, x):
    "Dynamo leaves out a function that looks up an LSTM"
    return layer(x)[0]


@suite.workload(inputs=lambda device: (torch.randn(8, device=device),))
def hands_back(x):
    "there is nothing to compile"
    return x
