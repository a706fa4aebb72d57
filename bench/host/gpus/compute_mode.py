"""Whether processes may compute on a GPU, and how many at once: its compute mode.

NVML API reference, nvmlComputeMode_t: an administrator sets it with ``nvidia-smi -c``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torchduet.bench.host.nvml import FACTS, Device, Field

EXCLUSIVE, PROHIBITED = "EXCLUSIVE_PROCESS", "PROHIBITED"
REMEDY = "nvidia-smi -c DEFAULT, as root, allows it"
MODE: Mapping[str, Field] = {"compute_mode": FACTS["compute_mode"]}


def compute_modes(devices: Mapping[str, Device | None]) -> dict[str, str]:
    """Device → its compute mode, of the GPUs whose mode NVML can read."""
    modes = {name: device.read(MODE).get("compute_mode") for name, device in devices.items() if device is not None}
    return {name: str(mode) for name, mode in modes.items() if mode is not None}


def obstacle(modes: Mapping[str, str], *, together: int, shared: Collection[str] = ()) -> str | None:
    """Why the GPUs cannot be measured as their compute modes are; None if they can.

    Args:
        together: processes of this run that use a GPU at the same time: the two sides of a duet; else one, as each
            worker ends before the next one starts.
        shared: GPUs whose processes compute through MPS: its server is the one process that EXCLUSIVE_PROCESS allows.
    """
    for device, mode in modes.items():
        if mode == PROHIBITED:
            return f"{device} is in compute mode {PROHIBITED}: no process can use it; {REMEDY}, or use --device cpu"
        if mode == EXCLUSIVE and together > 1 and device not in shared:
            return (
                f"{device} is in compute mode {EXCLUSIVE}: it is used by one process at a time, and a duet times two "
                f"in turns; {REMEDY}, or use --device cpu"
            )
    return None
