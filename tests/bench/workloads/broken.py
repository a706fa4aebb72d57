"""Workloads that go wrong, each in its own way; and one between them that does not."""

import os

import torch

from torchduet import Suite

suite = Suite("broken", "What can go wrong")


def vector(device: torch.device) -> tuple[torch.Tensor]:
    return (torch.ones(100, device=device),)


@suite.workload(inputs=vector, modes=["eager"])
def raises(_: torch.Tensor) -> torch.Tensor:
    """Raises."""
    raise ValueError("no such thing")


@suite.workload(inputs=vector, modes=["eager"])
def not_a_number(x: torch.Tensor) -> torch.Tensor:
    """NaN in float32, a number in float64."""
    return (x * 1e30 * 1e30) * 0 if x.dtype == torch.float32 else x * 0


suite.compare(
    "wrong",
    {"right": lambda x: x * 2, "wrong": lambda x: x * 2.001},
    inputs=vector,
    modes=["eager"],
)


@suite.workload(inputs=vector, modes=["eager"])
def aborts(x: torch.Tensor) -> torch.Tensor:
    """Kills its process."""
    if x.dtype == torch.float32:
        print("about to abort", flush=True)
        os.abort()
    return x


@suite.workload(inputs=lambda device: (torch.ones(1, device=device),), modes=["eager"])
def out_of_memory(x: torch.Tensor) -> torch.Tensor:
    """Asks for four exabytes."""
    return x.new_empty(1 << 60) if x.dtype == torch.float32 else x


def no_inputs(_: torch.device) -> tuple[torch.Tensor]:
    raise RuntimeError("the data is gone")


@suite.workload(inputs=no_inputs, modes=["eager"])
def without_inputs(x: torch.Tensor) -> torch.Tensor:
    """Its inputs cannot be made."""
    return x


@suite.workload(inputs=vector, modes=["eager"])
def nothing(_: torch.Tensor) -> None:
    """Returns nothing to check."""


@suite.workload(inputs=lambda device: torch.ones(2, 100, device=device), modes=["eager"])
def without_a_tuple(x: torch.Tensor) -> torch.Tensor:
    """Its inputs are a tensor, which would be taken apart."""
    return x


@suite.workload(inputs=vector, modes=["eager"])
def fine(x: torch.Tensor) -> torch.Tensor:
    """Works."""
    return x + 1


@suite.workload(
    inputs=lambda device: (torch.nn.Sequential(torch.nn.Linear(3, 3)).to(device), torch.ones(3, device=device)),
    modes=["eager", "compile-model"],
    observe=lambda inputs, result: (result, inputs[0][0].weight),
)
def observed_by_index(model: torch.nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """Works, with the model compiled, too, although what is observed is the module itself."""
    return model.eval()(x)
