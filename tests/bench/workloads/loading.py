"""Workloads that wait for data: a step over a loader without workers, with some, and with some that stay."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from torchduet import Axis, Suite
from torchduet.suites.datasets.loading import epochs

suite = Suite("loading", "Loading data")
ITEM_SECONDS = 4e-3


class Slow(Dataset[Tensor]):
    """Items each of which takes a while."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Tensor:
        time.sleep(ITEM_SECONDS)
        return torch.full((64,), float(index))


def inputs(device: torch.device) -> tuple[Any, ...]:
    return Slow(), device


def total(data: Dataset[Tensor], device: torch.device, workers: int, passes: int, **options: Any) -> Tensor:
    loader = DataLoader(data, 2, num_workers=workers, **options)
    found = torch.zeros((), device=device)
    with closing(epochs(loader)) as batches:
        for epoch in islice(batches, passes):
            for batch in epoch:
                found = found + batch.to(device).sum()
    return found


@suite.workload(inputs=inputs, modes=["eager"], workers=Axis(quick=[0, 2]), call_seconds=0.05)
def once(data: Dataset[Tensor], device: torch.device, workers: int) -> Tensor:
    """An epoch"""
    return total(data, device, workers, 1)


@suite.workload(inputs=inputs, modes=["eager"], call_seconds=0.1)
def twice(data: Dataset[Tensor], device: torch.device) -> Tensor:
    """Two epochs with the same workers"""
    return total(data, device, 2, 2, persistent_workers=True)
