"""Loading data: workers, prefetching, decoding, whole epochs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchduet.suites.datasets import loading
from torchduet.suites.devices import PINNING, wait_for
from torchduet.suites.mlp import layers
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Axis, Cost, Implementation, Meter

suite = Suite("dataloader", "Loading data: workers, prefetching, decoding, whole epochs")

PREFETCH = 2  # batches per worker: the DataLoader's own default
WORKERS = Axis(quick=[0, 2], default=[1, 4, "cores", "2x cores"])
TRAINING_WORKERS = Axis(default=[0, "cores", "2x cores"], full=[1, 2, 4])
TRAINING_SAMPLES = {"tensors": 5000, "images": 500}
OPTIONS_SAMPLES, OPTIONS_WORKERS, OPTIONS_EPOCHS = 320, 2, 2
LEARNING_RATE = 0.1
# The check finds whether the right images were trained on, in the right order. A ReLU that rounding turns on or off
# changes the parameters by 2e-3 (one seed in five), another order of the batches by 5e-2 and more.
ORDER_TOLERANCE = 1e-2

Data = Tensor | Sequence[bytes]


def tensor_inputs(device: torch.device, samples: int, batch: int) -> tuple[Any, ...]:
    return *loading.images_in_memory(samples), batch, device


def image_inputs(device: torch.device, samples: int, batch: int) -> tuple[Any, ...]:
    return *loading.encoded_images(samples), batch, device


def checksum(x: Tensor, y: Tensor) -> Tensor:
    """[2] float64: the sums of the pixels and of the labels of a batch."""
    return torch.stack([x.sum(dtype=torch.float64), y.sum(dtype=torch.float64)])


def epoch(
    data: Data, labels: Tensor, batch: int, device: torch.device, workers: int, seed: int, meter: Meter
) -> Tensor:
    """A whole epoch: start of the workers, all batches to the device, end of the workers"""
    loader = loading.shuffled(loading.dataset(data, labels), batch, seed, num_workers=workers)
    window = max(1, workers * PREFETCH)  # batches that are ready or in progress when the first one arrives
    sums = []
    begun = 0.0
    with closing(loading.epochs(loader)) as epochs:
        for number, (x, y) in enumerate(next(epochs), 1):
            sums.append(checksum(x.to(device, non_blocking=True), y.to(device, non_blocking=True)))
            if number in (1, window, len(loader)):
                wait_for(device)
                meter.lap("first batch" if number == 1 else "prefetch window" if number <= window else "steady")
            if number == window:
                begun = perf_counter()
            elif number == len(loader) >= 2 * window:  # fewer were mostly in progress when the clock started
                steady = len(labels) - window * batch
                meter.value("samples per second", steady / (perf_counter() - begun), "1/s")
    meter.lap("end of the workers")
    return torch.stack(sums)


def epoch_seconds(samples: int, batch: int, per_sample: float) -> float:
    """A rough estimate: starting the workers, passing the batches on, making the samples."""
    return 0.1 + 1e-3 * samples / batch + per_sample * samples


for name, about, inputs, per_sample, samples, batches in (
    (
        "epoch_tensors",
        "A whole epoch of tensors in memory, 784 floats each, workers started and ended",
        tensor_inputs,
        5e-5,
        Axis(quick=[5000], full=[60_000], on={"cuda": Axis(full=[5000, 60_000])}),
        Axis(quick=[100], full=[32, 1000]),
    ),
    (
        "epoch_images",
        "A whole epoch of JPEGs, each decoded, cropped, scaled and normalised, workers started and ended",
        image_inputs,
        3e-4,
        Axis(quick=[500], full=[1500, 20_000], on={"cuda": Axis(full=[500, 20_000])}),
        Axis(quick=[32], full=[100, 1000]),
    ),
):
    suite.compare(
        name,
        {name: epoch},
        about=about,
        inputs=inputs,
        axes={"samples": samples, "batch": batches},
        modes=["eager"],
        workers=WORKERS,
        cost=lambda samples, **_: Cost(samples=samples),
        call_seconds=functools.partial(epoch_seconds, per_sample=per_sample),
    )


def flattening(items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A collate function that stacks and flattens: [batch, 784] and labels."""
    pixels, labels = zip(*items, strict=True)
    return torch.stack(pixels).flatten(1), torch.stack(labels)


def several_epochs(
    data: Data, labels: Tensor, batch: int, device: torch.device, seed: int, meter: Meter, **options: Any
) -> Tensor:
    """Some epochs with two workers, batches flattened"""
    loader = loading.shuffled(loading.dataset(data, labels), batch, seed, num_workers=OPTIONS_WORKERS, **options)
    sums = []
    with closing(loading.epochs(loader)) as epochs:
        for batches in islice(epochs, OPTIONS_EPOCHS):
            for x, y in batches:
                flat = x.flatten(1).to(device, non_blocking=True)
                sums.append(checksum(flat, y.to(device, non_blocking=True)))
            wait_for(device)
            meter.lap("epoch")
    return torch.stack(sums)


suite.compare(
    "options",
    {
        "default": several_epochs,
        "persistent_workers": functools.partial(several_epochs, persistent_workers=True),
        "prefetch_factor_4": functools.partial(several_epochs, prefetch_factor=4),
        "flattening_collate": functools.partial(several_epochs, collate_fn=flattening),
        "pin_memory": Implementation(functools.partial(several_epochs, pin_memory=True), devices=PINNING),
    },
    about=f"{OPTIONS_EPOCHS} epochs of decoded JPEGs with {OPTIONS_WORKERS} workers, one option at a time",
    inputs=lambda device, batch: image_inputs(device, OPTIONS_SAMPLES, batch),
    axes={"batch": Axis(default=[32])},
    modes=["eager"],
    cost=lambda **_: Cost(samples=OPTIONS_EPOCHS * OPTIONS_SAMPLES),
    call_seconds=0.5,
)


def training_inputs(device: torch.device, dataset: str, batch: int) -> tuple[Any, ...]:
    model = layers(784, 100, 10).to(device)
    make = loading.images_in_memory if dataset == "tensors" else loading.encoded_images
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    return model, optimizer, *make(TRAINING_SAMPLES[dataset]), batch, device


@suite.workload(
    inputs=training_inputs,
    axes={
        "dataset": Axis(default=["tensors", "images"], on={"cuda": Axis(default=["images"], full=["tensors"])}),
        "batch": Axis(default=[100]),
    },
    modes=["eager"],
    workers=TRAINING_WORKERS,
    observe=lambda inputs, _: list(inputs[0].parameters()),
    tolerance={"fp32": ORDER_TOLERANCE},
    cost=lambda dataset, **_: Cost(samples=TRAINING_SAMPLES[dataset]),
    call_seconds=0.3,
)
def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    labels: Tensor,
    batch: int,
    device: torch.device,
    workers: int,
    seed: int,
    meter: Meter,
) -> Tensor:
    """A whole training epoch: 784-100-10, ReLU, cross-entropy, SGD 0.1, workers started and ended"""
    loss = torch.zeros(())
    loader = loading.shuffled(loading.dataset(data, labels), batch, seed, num_workers=workers)
    with closing(loading.epochs(loader)) as epochs:
        for number, (x, y) in enumerate(next(epochs)):
            optimizer.zero_grad()
            logits = model(x.to(device, non_blocking=True).flatten(1))
            loss = F.cross_entropy(logits, y.to(device, non_blocking=True))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if number == 0:
                wait_for(device)
                meter.lap("first step")
    wait_for(device)
    meter.lap("other steps")
    return loss.detach()
