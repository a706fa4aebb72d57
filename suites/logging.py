"""Logging: the time that the SummaryWriter of TensorBoard adds to a training step."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from torchduet.suites.extras import install
from torchduet.suites.mlp import GRADIENT_TOLERANCE, classify, cost, small_inputs, step_state
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Implementation, Unavailable

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

suite = Suite("logging", "What TensorBoard adds to a training step")

MAX_EMBEDDINGS = 20  # per writer


def inputs(device: torch.device, batch: int) -> tuple[Any, ...]:
    """784-100-10, its optimizer, images and their classes, and an embedding (100, 64)."""
    return *small_inputs(device, batch), torch.randn(100, 64, device=device)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, embedding: Tensor) -> Tensor:
    del embedding
    return classify(model, optimizer, x, y, contextlib.nullcontext)


def new_writer() -> SummaryWriter:
    """A writer to a new folder."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise Unavailable(f"TensorBoard is not installed: {install('logging')}") from error
    return SummaryWriter(tempfile.mkdtemp(prefix="tensorboard-"))


def followed_by(log: Callable[..., None]) -> Implementation:
    """The training step, followed by ``log(writer, number, loss, *inputs)``; ``number`` counts the steps.

    The step waits for the writer's thread, whose work would not be in its time: checksums, computed in Python.
    """

    def setup(*_: Any) -> Callable[..., Tensor]:
        writer, numbers = new_writer(), itertools.count()

        def logged(*inputs: Any) -> Tensor:
            loss = step(*inputs)
            log(writer, next(numbers), loss, *inputs)
            writer.flush()
            return loss

        return logged

    return Implementation(setup, setup=True)


def scalars(writer: SummaryWriter, number: int, loss: Tensor, *_: Any) -> None:
    """The loss and the learning rate."""
    writer.add_scalar("loss", loss.item(), number)
    writer.add_scalar("learning rate", 1e-3, number)


def histograms(writer: SummaryWriter, number: int, loss: Tensor, model: nn.Module, *_: Any) -> None:
    """A histogram of each parameter."""
    del loss
    for name, parameter in model.named_parameters():
        writer.add_histogram(name, parameter, number)


def images(
    writer: SummaryWriter, number: int, loss: Tensor, model: nn.Module, optimizer: object, x: Tensor, *_: Any
) -> None:
    """The first 16 images of the batch as one image."""
    del loss, model, optimizer
    writer.add_images("images", x[:16].view(-1, 1, 28, 28), number)


def hparams(writer: SummaryWriter, number: int, loss: Tensor, *_: Any) -> None:
    """Two hyper-parameters and the loss, as a run of its own."""
    settings, metrics = {"learning rate": 1e-3, "batch": 100}, {"hparam/loss": loss.item()}
    writer.add_hparams(settings, metrics, run_name=str(number))


def embedding_setup(*_: Any) -> Callable[..., Tensor]:
    """An embedding of 100 rows. A writer lists all its embeddings again at each one, so each writer gets few."""
    writer, numbers = new_writer(), itertools.cycle(range(MAX_EMBEDDINGS))

    def logged(*inputs: Any) -> Tensor:
        nonlocal writer
        loss = step(*inputs)
        writer.add_embedding(inputs[-1], global_step=(number := next(numbers)))
        writer.flush()
        if number == MAX_EMBEDDINGS - 1:
            writer.close()
            writer = new_writer()
        return loss

    return logged


def graph(writer: SummaryWriter, number: int, loss: Tensor, model: nn.Module, _: object, x: Tensor, *rest: Any) -> None:
    """The graph of the model, which is traced."""
    del number, loss, rest
    writer.add_graph(model, x)


def graph_setup(*inputs: Any) -> Callable[..., Tensor]:
    if not hasattr(torch.jit, "trace"):
        raise Unavailable(f"torch {torch.__version__} has no torch.jit.trace, which SummaryWriter.add_graph needs")
    logged: Callable[..., Tensor] = followed_by(graph).function(*inputs)
    return logged


suite.compare(
    "train_784_100_10",
    {
        "none": step,
        "scalars": followed_by(scalars),
        "histograms": followed_by(histograms),
        "images": followed_by(images),
        "embedding": Implementation(embedding_setup, setup=True),
        "hparams": followed_by(hparams),
        "graph": Implementation(graph_setup, setup=True),
    },
    about="Training step of 784-100-10, followed by what TensorBoard logs of it, until that is written",
    inputs=inputs,
    axes={"batch": Axis(default=[100], on={"cuda": Axis(full=[100])})},
    modes=("eager",),
    observe=step_state,
    tolerance=GRADIENT_TOLERANCE,
    cost=lambda batch: cost(batch, 784, 100, 10),
    call_seconds=0.02,  # between 1 ms (scalars) and 60 ms (graph)
)
