"""Brings a process to the state in which a worker begins its task."""

from __future__ import annotations

import tempfile

import torch

from torchduet.bench.inputs.allocator import settle_allocator
from torchduet.suites.datasets import data


def begin(threads: int, folder: str, images: str | None = None) -> None:
    """Set what every worker sets before it imports a suite or makes inputs.

    Args:
        threads: intra-op threads.
        folder: for temporary files, the workloads' own too; whoever made it removes it.
        images: source of those of the suite ``training``; None: scikit-learn's digits.
    """
    torch.set_num_threads(threads)
    tempfile.tempdir = folder
    data.use(images)
    settle_allocator()
