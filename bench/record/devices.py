"""A device by its name in a record, as ``cpu`` or ``xpu:1``: its kind, its number, whether it is the host's own."""

from __future__ import annotations

HOST = "cpu"


def device_kind(device: str) -> str:
    """``"cuda:1"`` → ``"cuda"``."""
    return device.partition(":")[0]


def device_index(device: str) -> int:
    """``"cuda:1"`` → 1; a name without a number is the first of its kind."""
    return int(device.partition(":")[2] or 0)


def numbered(device: str) -> str:
    """``"cuda"`` → ``"cuda:0"``; of the host there is only one, ``"cpu"``."""
    return device if on_host(device) else f"{device_kind(device)}:{device_index(device)}"


def on_host(device: str) -> bool:
    """Whether it is the machine's own processor, with its memory, rather than an accelerator."""
    return device_kind(device) == HOST
