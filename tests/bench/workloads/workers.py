"""Workloads whose DataLoader workers fail, hang or are forgotten."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from torchduet import Suite

suite = Suite("workers", "What can go wrong in a DataLoader's workers")
forgotten: list[Iterator[torch.Tensor]] = []


class Items(Dataset[torch.Tensor]):
    """Items of which one goes wrong."""

    def __init__(self, wrong: str) -> None:
        self.wrong = wrong

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 20 and self.wrong == "raises":
            raise ValueError("item 20 is broken")
        if index == 20 and self.wrong == "hangs":
            Path(os.environ["HANGING"]).touch()
            time.sleep(3600)
        return torch.full((4,), float(index))


def total(wrong: str) -> torch.Tensor:
    batches = iter(DataLoader(Items(wrong), batch_size=4, num_workers=2))
    if wrong == "forgotten" and len(forgotten) < 3:
        forgotten.append(batches)
    return torch.stack([batch.sum() for batch in batches]).sum()


def inputs(device: torch.device) -> tuple[torch.device]:
    return (device,)


@suite.workload(inputs=inputs, modes=["eager"])
def raises(_: torch.device) -> torch.Tensor:
    """An item raises in a worker."""
    return total("raises")


@suite.workload(inputs=inputs, modes=["eager"])
def forgets(_: torch.device) -> torch.Tensor:
    """Iterators are kept, and their workers with them."""
    return total("forgotten")


@suite.workload(inputs=inputs, modes=["eager"])
def hangs(_: torch.device) -> torch.Tensor:
    """An item never arrives."""
    return total("hangs")
