"""Questions of workloads about devices that need no name of a kind: synchronising, and whether it is the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

HOST = "cpu"
ACCELERATOR = "accelerator"  # in devices=: every kind of device except the processor of the host
DEVICES = (HOST, ACCELERATOR)  # everywhere
PINNING = ("cuda", "xpu")  # kinds that copy from pinned memory asynchronously


def kind_of(device: str) -> str:
    """``"cuda:1"`` → ``"cuda"``."""
    return device.partition(":")[0]


def is_host(kind: str) -> bool:
    """Whether a kind of device, as in ``torch.device.type``, is the processor of the host."""
    return kind == HOST


def runs_on(limits: Sequence[str], device: str) -> bool:
    """Whether a workload that is limited to these kinds of devices runs on ``device``."""
    kind = kind_of(device)
    return kind in limits or (ACCELERATOR in limits and not is_host(kind))


def own_of(by_kind: Mapping[str, Value], device: str) -> Value | None:
    """What a mapping has for a device: for its kind, or for every accelerator; None if neither is in it."""
    kind = kind_of(device)
    if is_host(kind):
        return by_kind.get(kind)
    return by_kind.get(kind, by_kind.get(ACCELERATOR))


def is_known(kind: str) -> bool:
    """Whether ``devices=`` may name a kind: PyTorch, with the installed backends, has such devices."""
    if kind in DEVICES:
        return True
    import torch

    try:
        return torch.device(kind).index is None
    except RuntimeError:
        return False


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished all launched work, so that the seconds of a phase include it."""
    if not is_host(device.type):
        import torch

        torch.accelerator.synchronize(device)
