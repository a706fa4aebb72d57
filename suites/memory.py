"""How much memory is free, and refusing what needs more."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from torchduet.suites.devices import is_host
from torchduet.suites.free_memory import available
from torchduet.suites.workload import Unavailable

if TYPE_CHECKING:
    import torch


def available_bytes() -> int | None:
    """Bytes of the host's memory that this process may still use, caches of files included; None where nothing says.

    In a container these are the container's.
    """
    limited = available()
    if limited is not None:
        return limited
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # neither Windows nor macOS says
        return None


def need_memory(needed: int) -> None:
    """Refuse what the host has too little memory for, such as a model.

    Raises:
        Unavailable: fewer bytes are free than are needed.
    """
    free = available_bytes()
    if free is not None and free < needed:
        raise Unavailable(
            f"needs about {needed / 1e9:.0f} GB of the host's memory, of which {free / 1e9:.0f} GB are free"
        )


def available_on(device: torch.device) -> int | None:
    """Bytes that are free on a device, what PyTorch's allocator keeps for later included; None where it is unknown."""
    if is_host(device.type):
        return available_bytes()
    import torch

    module: Any = getattr(torch, device.type, None)  # torch.cuda, torch.xpu …
    if not hasattr(module, "mem_get_info"):
        return None
    kept = module.memory_reserved(device) - module.memory_allocated(device)
    return int(module.mem_get_info(device)[0] + kept)
