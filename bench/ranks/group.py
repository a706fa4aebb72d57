"""Process groups: how a rank joins one, and why there may be none. Torch is imported in worker processes only."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from torchduet.bench.host.error_words import first_line
from torchduet.bench.ranks.store import again
from torchduet.bench.record.devices import device_index, device_kind, on_host

# Gloo and TensorPipe look up the name of the host, which has no address in many containers; these name an interface.
INTERFACES = ("GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
BACKENDS = {"cpu": "gloo", "cuda": "nccl", "xpu": "xccl"}


def why_none(device: str) -> str:
    """Why no process group can be formed on a kind of device; empty where one can."""
    if not dist.is_available():
        return "this PyTorch was built without torch.distributed (USE_DISTRIBUTED=0)"
    kind = device_kind(device)
    backend = BACKENDS.get(kind)
    if backend is None:
        return f"torch.distributed has no backend for {kind} that is known here"
    if not dist.is_backend_available(backend):
        return f"this PyTorch was built without {backend}, the backend of torch.distributed for {kind}"
    if not dist.is_gloo_available():
        return "this PyTorch was built without gloo, by which ranks wait for each other before a block"
    return ""


def own_device(device: str, local_rank: int) -> str:
    """The device of a rank: the CPU, or the GPU after so many others from the case's own on."""
    if on_host(device):
        return device
    return f"{device_kind(device)}:{device_index(device) + local_rank}"


@dataclass(frozen=True)
class Joined:
    """A process group that this process has joined.

    Attributes:
        backend: of the default group.
        waiting: a group on the CPU, for waiting outside the clock.
    """

    backend: str
    waiting: Any

    def wait(self) -> None:
        """Wait until every rank has come so far."""
        dist.all_reduce(torch.zeros(1), group=self.waiting)  # a barrier would look for the device of the default group


def join(device: str, rank: int, ranks: int, *, store: str, prefix: str, timeout: float, local: bool = True) -> Joined:
    """Join a fresh process group; all of its ranks call this at about the same time.

    Args:
        device: that of this rank.
        store: path of the file by which the ranks find each other; it must not exist before. Empty: torchrun's store.
        prefix: of the keys in the store.
        timeout: seconds after which a collective gives up.
        local: all ranks are on this machine.

    Raises:
        OSError: the file cannot be made.
        RuntimeError: the group cannot be formed.
    """
    if local and sys.platform in LOOPBACK:
        for name in INTERFACES:
            os.environ.setdefault(name, LOOPBACK[sys.platform])
    backend, limit = BACKENDS[device_kind(device)], timedelta(seconds=timeout)
    given: dict[str, Any] = {}
    if not on_host(device):
        torch.accelerator.set_device_index(device_index(device))
        given["device_id"] = torch.device(device)  # else the backend guesses it from the rank
    dist.init_process_group(
        backend, store=_store(store, prefix, ranks, limit), rank=rank, world_size=ranks, timeout=limit, **given
    )
    # Of its own: no collective of a workload, and none that a rank leaves out, is taken for one of ours.
    waiting = dist.new_group(backend="gloo", timeout=limit)
    return Joined(backend, waiting)


def _store(path: str, prefix: str, ranks: int, limit: timedelta) -> Any:
    if path:
        try:
            Path(path).open("ab").close()  # the store itself would retry without a word for its whole timeout
            store: Any = dist.FileStore(path, ranks)  # type: ignore[attr-defined]
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"{path}, by which the ranks find each other, cannot be written: {first_line(error)}"
            ) from None
    else:
        store = again().raw
    store.set_timeout(limit)
    return dist.PrefixStore(prefix, store)  # type: ignore[attr-defined]


@contextlib.contextmanager
def left_at_the_end() -> Iterator[None]:
    """Leave every group at the end, if this process is in any; it may be that the others are no longer there."""
    try:
        yield
    finally:
        if dist.is_available() and dist.is_initialized():
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()
