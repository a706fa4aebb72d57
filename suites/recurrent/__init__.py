"""Language-model steps of recurrent networks: training, inference of a sequence, and one token after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.devices import is_host
from torchduet.suites.mlp import Autocast, Scaler, step_state
from torchduet.suites.recurrent.cells import State, lstm_cell
from torchduet.suites.recurrent.model import KINDS, MODELS, Kind, LanguageModel, StepOf
from torchduet.suites.steps import CPU_FLOPS, backward_and_step
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation

suite = Suite("recurrent", "Language-model steps of recurrent networks")

EAGER = ("eager",)
COMPILED = ("fused", "by_hand")
STEP_SECONDS = 2e-4  # of the small operations of a step on a CPU, roughly
MODEL = Axis(default=["tiny"], full=["medium"], on={"cuda": Axis(default=["medium"], full=["large"])})
LENGTH = Axis(default=[8], full=[35], on={"cuda": Axis(default=[35], full=[128])})
BATCH = Axis(default=[20], full=[64], on={"cuda": Axis(default=[20], full=[256])})
AXES = {"model": MODEL, "length": LENGTH, "batch": BATCH}  # tiny and short: loops are also compiled, and trained
INFERENCE_AXES = {
    "model": Axis(default=["small"], full=["medium"], on=MODEL.on),
    "length": Axis(default=[20], full=[35], on=LENGTH.on),
    "batch": BATCH,
}
PRECISIONS = Axis(
    quick=["fp32"],
    full=["bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32"], default=["tf32", "bf16"], full=["fp16", "bf16-pure"])},
)

# fp16-pure is for inference on GPUs, for the reasons of torchduet.suites.mlp.
INFERRED = Axis(
    quick=["fp32"],
    full=["bf16", "bf16-pure"],
    on={"cuda": Axis(quick=["fp32"], default=["tf32", "bf16"], full=["fp16", "bf16-pure", "fp16-pure"])},
)


def cost(kind: Kind, model: str, length: int, batch: int, training: bool = False) -> Cost:
    """The products of a call: a step has two products for each gate, of the input and of h, in each layer.

    That is 8·hidden·(input + hidden) of an LSTM for a token, 6·… of a GRU. The backward pass needs twice the operations
    of the forward pass, except for the state that is carried in: its gradient is not computed.
    """
    dimensions, tokens = MODELS[model], length * batch
    product = 2.0 * dimensions.hidden**2
    recurrent = dimensions.layers * kind.gates * product
    forward = tokens * (2 * recurrent + 2.0 * dimensions.hidden * dimensions.vocabulary)
    return Cost(flops=3 * forward - batch * recurrent if training else forward, samples=tokens, unit="tokens")


def inputs(device: torch.device, model: str, length: int, batch: int, *, kind: Kind) -> tuple[Any, ...]:
    """A model with its optimizer, tokens (length, batch), the tokens that follow, and the state carried in."""
    dimensions = MODELS[model]
    network = LanguageModel(kind, dimensions).to(device)
    tokens = torch.randint(dimensions.vocabulary, (length + 1, batch)).to(device)
    state = tuple(torch.randn(dimensions.layers, batch, dimensions.hidden).to(device) for _ in range(kind.states))
    return network, torch.optim.SGD(network.parameters(), lr=0.1), tokens[:-1], tokens[1:], state


def training_step(
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    following: Tensor,
    state: State,
    autocast: Autocast,
    scaler: Scaler = None,
    *,
    step_of: StepOf | None,
) -> Tensor:
    optimizer.zero_grad()
    with autocast():
        logits, _ = model(tokens, state, step_of)
        loss = F.cross_entropy(logits.flatten(0, 1), following.flatten())
    backward_and_step(loss, optimizer, scaler)
    return loss.detach()


def inference_step(
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    following: Tensor,
    state: State,
    autocast: Autocast,
    *,
    step_of: StepOf | None,
) -> tuple[Tensor, State]:
    """The logits, and the state to carry on."""
    del optimizer, following
    with torch.no_grad(), autocast():
        return model(tokens, state, step_of)  # type: ignore[no-any-return]


def implementations(function: Callable[..., Any], kind: Kind, *left_out: str) -> dict[str, Implementation]:
    """The step functions of a kind, and its module.

    Compiled are the module, at which Dynamo breaks the graph, and one of the loops, which is unrolled into a graph of
    all its steps.
    """
    return {
        name: Implementation(functools.partial(function, step_of=step_of), modes=None if name in COMPILED else EAGER)
        for name, step_of in kind.steps.items()
        if name not in left_out
    }


def seconds(model: str, length: int, batch: int, device: str, *, kind: Kind, training: bool) -> float:
    """Of a call on two cores: its products, and the small operations of each step."""
    if not is_host(device):
        return 0.0
    steps = length * MODELS[model].layers * (3 if training else 1)
    return (cost(kind, model, length, batch, training).flops or 0.0) / CPU_FLOPS + STEP_SECONDS * steps


def steps(kind: Kind, training: bool) -> Mapping[str, Any]:
    """What the workloads of a kind have in common, training or not."""
    return {
        "inputs": functools.partial(inputs, kind=kind),
        "cost": functools.partial(cost, kind, training=training),
        "call_seconds": functools.partial(seconds, kind=kind, training=training),
    }


LSTM, GRU = KINDS["lstm"], KINDS["gru"]


def next_inputs(device: torch.device, model: str, length: int, batch: int) -> tuple[Any, ...]:
    """A model; tokens (1, batch) and the state of all layers, for its module; the same (batch,) and by layer."""
    network, _, tokens, _, state = inputs(device, model, length, batch, kind=LSTM)
    layers = [tuple(tensor[number].clone() for tensor in state) for number in range(MODELS[model].layers)]
    return network, tokens, state, tokens[0].clone(), layers


def next_by_module(
    model: LanguageModel, tokens: Tensor, state: State, token: Tensor, layers: list[State], autocast: Autocast
) -> tuple[Tensor, State]:
    del token, layers
    with torch.no_grad(), autocast():
        return model(tokens, state, None)  # type: ignore[no-any-return]


def next_by_cells(
    model: LanguageModel, tokens: Tensor, state: State, token: Tensor, layers: list[State], autocast: Autocast
) -> tuple[Tensor, list[State]]:
    del tokens, state
    with torch.no_grad(), autocast():
        return model(token, layers, lstm_cell)  # type: ignore[no-any-return]


def in_one_form(inputs: Sequence[Any], result: tuple[Tensor, State | list[State]]) -> tuple[Tensor, State]:
    """Logits (batch, vocabulary) and a state of all layers, of either function."""
    del inputs
    logits, state = result
    if isinstance(state, list):
        state = tuple(torch.stack(tensors) for tensors in zip(*state, strict=True))
    return logits.reshape(-1, logits.shape[-1]), state


suite.compare(
    "next_word_lstm",
    {"fused": next_by_module, "cell": next_by_cells},
    about="Inference step of an LSTM language model for one token of each sequence, with the state carried over",
    axes={
        "model": Axis(quick=["tiny"], full=["medium"], on={"cuda": Axis(default=["medium"], full=["large"])}),
        "length": Axis(quick=[1]),
        "batch": Axis(quick=[1], full=[20], on={"cuda": Axis(default=[1], full=[256])}),
    },
    modes=EAGER,
    observe=in_one_form,
    **{**steps(LSTM, training=False), "inputs": next_inputs},
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
    axes=INFERENCE_AXES,
    modes=Axis(quick=["eager"], full=["compile-model"]),
    precisions=INFERRED,
    **steps(LSTM, training=False),
)
suite.compare(
    "train_gru",
    implementations(training_step, GRU, "by_gate"),
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
    axes=INFERENCE_AXES | {"model": Axis(full=["small", "medium"], on=MODEL.on)},
    modes=EAGER,
    precisions=INFERRED,
    **steps(GRU, training=False),
)
