"""What a workload may ask of a device without naming its kind: waiting for it, and whether it is the host itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

HOST = "cpu"
ACCELERATOR = "accelerator"  # in devices=: every kind of device beside the host's own processor
DEVICES = (HOST, ACCELERATOR)  # everywhere
PINNING = ("cuda", "xpu")  # kinds that copy from pinned memory while the host goes on


def kind_of(device: str) -> str:
    """``"cuda:1"`` → ``"cuda"``."""
    return device.partition(":")[0]


def is_host(kind: str) -> bool:
    """Whether a kind of device, as ``torch.device.type`` names it, is the host's own processor."""
    return kind == HOST


def runs_on(limits: Sequence[str], device: str) -> bool:
    """Whether a workload that is limited to these kinds of devices runs on ``device``."""
    kind = kind_of(device)
    return kind in limits or (ACCELERATOR in limits and not is_host(kind))


def is_known(kind: str) -> bool:
    """Whether ``devices=`` may name it: PyTorch, with the backends that are installed, has such devices."""
    if kind in DEVICES:
        return True
    import torch

    try:
        return torch.device(kind).index is None
    except RuntimeError:
        return False


def wait_for(device: torch.device) -> None:
    """Let the device finish what was launched, so that a phase's seconds are its own."""
    if not is_host(device.type):
        import torch

        torch.accelerator.synchronize(device)
