"""Language-model steps of recurrent networks: training, inference of a sequence, and one word after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.mlp import Autocast, step_state
from torchduet.suites.recurrent.cells import State
from torchduet.suites.recurrent.model import KINDS, MODELS, Kind, LanguageModel, Way
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation

suite = Suite("recurrent", "Language-model steps of recurrent networks")

EAGER = ("eager",)
COMPILED = ("fused", "by_hand")
FLOPS, STEP_SECONDS = 1e11, 2e-4  # per second; of the small operations of a step; both roughly, of two cores
MODEL = Axis(default=["tiny"], full=["medium"], on={"cuda": Axis(default=["medium"], full=["large"])})
LENGTH = Axis(default=[8], full=[35], on={"cuda": Axis(default=[35], full=[128])})
BATCH = Axis(default=[20], full=[64], on={"cuda": Axis(default=[20], full=[256])})
AXES = {"model": MODEL, "length": LENGTH, "batch": BATCH}
PRECISIONS = Axis(quick=["fp32"], full=["bf16"], on={"cuda": Axis(quick=["fp32"], default=["tf32", "bf16"])})


def cost(kind: Kind, model: str, length: int, batch: int, training: bool = False) -> Cost:
    """The products of a call: a step has two products for each gate, of the input and of h, in each layer.

    That is 8·hidden·(input + hidden) of an LSTM for a word, 6·… of a GRU. The backward pass needs twice the operations
    of the forward pass, except for the state that is carried in: its gradient is not computed.
    """
    dimensions, words = MODELS[model], length * batch
    product = 2.0 * dimensions.hidden**2
    recurrent = dimensions.layers * kind.gates * product
    forward = words * (2 * recurrent + 2.0 * dimensions.hidden * dimensions.vocabulary)
    return Cost(flops=3 * forward - batch * recurrent if training else forward, samples=words)


def inputs(device: torch.device, model: str, length: int, batch: int, *, kind: Kind) -> tuple[Any, ...]:
    """A model with its optimizer, words (length, batch), the words that follow, and the state carried in."""
    dimensions = MODELS[model]
    network = LanguageModel(kind, dimensions).to(device)
    words = torch.randint(dimensions.vocabulary, (length + 1, batch)).to(device)
    state = tuple(torch.randn(dimensions.layers, batch, dimensions.hidden).to(device) for _ in range(kind.states))
    return network, torch.optim.SGD(network.parameters(), lr=0.1), words[:-1], words[1:], state


def training_step(
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    words: Tensor,
    following: Tensor,
    state: State,
    autocast: Autocast,
    *,
    way: Way | None,
) -> Tensor:
    optimizer.zero_grad()
    with autocast():
        logits, _ = model(words, state, way)
        loss = F.cross_entropy(logits.flatten(0, 1), following.flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def inference_step(
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    words: Tensor,
    following: Tensor,
    state: State,
    autocast: Autocast,
    *,
    way: Way | None,
) -> tuple[Tensor, State]:
    """The logits, and the state to carry on."""
    del optimizer, following
    with torch.no_grad(), autocast():
        return model(words, state, way)  # type: ignore[no-any-return]


def implementations(function: Callable[..., Any], kind: Kind) -> dict[str, Implementation]:
    """All ways of a kind. Compiled are the module, at which Dynamo breaks the graph, and one of the loops, which is
    unrolled into a graph of all its steps.
    """
    return {
        name: Implementation(functools.partial(function, way=way), modes=None if name in COMPILED else EAGER)
        for name, way in kind.ways.items()
    }


def seconds(model: str, length: int, batch: int, device: str, *, kind: Kind, training: bool) -> float:
    """Of a call on two cores: its products, and the small operations of each step."""
    if not is_host(device):
        return 0.0
    steps = length * MODELS[model].layers * (3 if training else 1)
    return (cost(kind, model, length, batch, training).flops or 0.0) / FLOPS + STEP_SECONDS * steps


def steps(kind: Kind, training: bool) -> Mapping[str, Any]:
    """What the workloads of a kind have in common, training or not."""
    return {
        "inputs": functools.partial(inputs, kind=kind),
        "cost": functools.partial(cost, kind, training=training),
        "call_seconds": functools.partial(seconds, kind=kind, training=training),
    }


LSTM, GRU = KINDS["lstm"], KINDS["gru"]

suite.compare(
    "next_word_lstm",
    {name: functools.partial(inference_step, way=LSTM.ways[name]) for name in ("fused", "cell")},
    about="Inference step of an LSTM language model for one word of each sequence, with the state carried over",
    axes={
        "model": Axis(quick=["tiny"], full=["medium"], on={"cuda": Axis(default=["medium"], full=["large"])}),
        "length": Axis(quick=[1]),
        "batch": Axis(quick=[1], full=[20], on={"cuda": Axis(default=[1], full=[256])}),
    },
    modes=EAGER,
    **steps(LSTM, training=False),
)
suite.compare(
    "train_lstm",
    implementations(training_step, LSTM),
    about="Training step of an LSTM language model: cross-entropy, SGD, the state carried over",
    axes=AXES,
    modes=Axis(quick=["eager"], default=["compile-model"]),
    precisions=PRECISIONS,
    observe=step_state,
    **steps(LSTM, training=True),
)
suite.compare(
    "infer_lstm",
    implementations(inference_step, LSTM),
    about="Inference step of an LSTM language model: logits and the state to carry over, under no_grad",
    axes=AXES,
    modes=Axis(quick=["eager"], full=["compile-model"]),
    precisions=PRECISIONS,
    **steps(LSTM, training=False),
)
suite.compare(
    "train_gru",
    implementations(training_step, GRU),
    about="Training step of a GRU language model: cross-entropy, SGD, the state carried over",
    axes=AXES,
    modes=Axis(quick=["eager"], full=["compile-model"]),
    precisions=PRECISIONS,
    observe=step_state,
    **steps(GRU, training=True),
)
suite.compare(
    "infer_gru",
    implementations(inference_step, GRU),
    about="Inference step of a GRU language model: logits and the state to carry over, under no_grad",
    axes=AXES | {"model": Axis(full=["tiny", "medium"], on={"cuda": Axis(default=["medium"], full=["large"])})},
    modes=EAGER,
    precisions=PRECISIONS,
    **steps(GRU, training=False),
)
