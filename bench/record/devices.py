"""Parses a device's name in a record, such as ``cpu`` or ``xpu:1``: its kind, its number, whether it is the CPU."""

from __future__ import annotations

HOST = "cpu"


def device_kind(device: str) -> str:
    """``"cuda:1"`` → ``"cuda"``."""
    return device.partition(":")[0]


def device_index(device: str) -> int:
    """``"cuda:1"`` → 1; 0 for a name without a number."""
    return int(device.partition(":")[2] or 0)


def numbered(device: str) -> str:
    """``"cuda"`` → ``"cuda:0"``; ``"cpu"`` has no number."""
    return device if on_host(device) else f"{device_kind(device)}:{device_index(device)}"


def on_host(device: str) -> bool:
    """Whether the device is the CPU, rather than an accelerator."""
    return device_kind(device) == HOST


def device_of_pilot(kind: str) -> str:
    """The device of a kind of pilot: ``"memory"`` → ``"cpu"``, ``"cuda:0 memory"`` → ``"cuda:0"``."""
    device, space, _ = kind.partition(" ")
    return device if space else HOST


def concerns(kind: str, device: str) -> bool:
    """Whether a kind of pilot measures the speed of what a case on ``device`` runs on: the device and the CPU."""
    return device_of_pilot(kind) in (HOST, numbered(device))
