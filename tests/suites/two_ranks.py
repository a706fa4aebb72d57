"""Calls a function in two processes of a process group (gloo), in bounded time."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from torchduet.suites.distributed import rpc

RANKS = 2
SECONDS = 300.0
COLLECTIVE_SECONDS = 30.0
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


def in_two_ranks(function: Callable[..., None], folder: Path, *arguments: Any) -> None:
    """Call ``function(*arguments)`` in each of two ranks; both must return.

    Args:
        function: of a module, as it is passed by its name.
        folder: for the file by which the ranks find each other, and for temporary files.
    """
    context = torch.multiprocessing.start_processes(
        _rank, (function, str(folder), arguments), nprocs=RANKS, join=False, start_method="spawn"
    )
    deadline = monotonic() + SECONDS
    try:
        while not context.join(timeout=1.0):
            if monotonic() > deadline:
                pytest.fail(f"two ranks did not return within {SECONDS:.0f} s")
    finally:
        for process in context.processes:
            if process.is_alive():
                process.kill()
            process.join()


def _rank(rank: int, function: Callable[..., None], folder: str, arguments: tuple[Any, ...]) -> None:
    tempfile.tempdir = folder
    torch.set_num_threads(1)
    if sys.platform in LOOPBACK:
        for name in ("GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME"):
            os.environ.setdefault(name, LOOPBACK[sys.platform])
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(str(Path(folder) / "store"), RANKS),
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=COLLECTIVE_SECONDS),
    )
    try:
        function(*arguments)
        if rpc.start.cache_info().currsize:
            rpc.start().shutdown()
    finally:
        dist.destroy_process_group()
