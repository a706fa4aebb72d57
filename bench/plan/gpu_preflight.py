"""Checks of the GPUs before the first worker: whether they may be used, and whether other processes use them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from time import monotonic, sleep

from torchduet.bench.host.gpus.compute_mode import compute_modes, obstacle
from torchduet.bench.host.gpus.mps import uses_mps
from torchduet.bench.host.gpus.use import COMPUTING, DRAWING, Use, busy, uses
from torchduet.bench.host.nvml import Device
from torchduet.bench.host.run_lock import GO, REFUSE, REPORT_SECONDS, WAIT
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.units import duration, size

WAIT_SECONDS = 2.0  # between two looks while others use a GPU
# While nothing tells whether a job uses it, which ends, or a display, which does not: as on a desktop, in WSL, or in a
# container, where no process is listed.
UNKNOWN_SECONDS = 60.0
INSTEAD = "end them, choose another GPU with --device or CUDA_VISIBLE_DEVICES, or use --when-busy go"


def check_usable(devices: Mapping[str, Device | None], *, together: int) -> None:
    """Check that this run may use the GPUs as it does.

    Where processes compute through MPS, its server is the one process that a GPU for one process allows.

    Args:
        devices: ``cuda:0`` → the GPU; None where NVML does not have it.
        together: processes of this run that use a GPU at the same time.

    Raises:
        OptionError: a GPU's compute mode forbids it.
    """
    shared = [name for name, device in devices.items() if device is not None and uses_mps(device)]
    why = obstacle(compute_modes(devices), together=together, shared=shared)
    if why is not None:
        raise OptionError(why)


def check_idle(
    devices: Mapping[str, Device | None],
    names: Mapping[str, str],
    when_busy: str,
    report: Callable[[str], object],
    now: Callable[[], float] = monotonic,
    wait: Callable[[float], object] = sleep,
    wall: Callable[[], float] = time.time,
) -> list[str]:
    """Wait until no other process computes on the GPUs, or refuse, or go on, as ``--when-busy`` says.

    A display server is neither waited for, as it does not end, nor a reason to refuse; a process that only holds memory
    isn't either. Where it is not known what uses a GPU, the wait is at most ``UNKNOWN_SECONDS``. A GPU is refused if it
    is busy twice: while its memory is scrubbed or its driver starts, the first reading may be high (NVML API reference,
    nvmlDeviceGetUtilizationRates).

    Args:
        devices: the GPUs that will be measured, as in :func:`check_usable`.
        names: device → its product's name.
        when_busy: one of :data:`torchduet.bench.host.run_lock.CHOICES`.
        report: gets a line on what is waited for, at once and then every half minute.

    Returns:
        Warnings for the record.

    Raises:
        OptionError: others use a GPU, and ``when_busy`` is ``refuse``.
    """
    begun = reported = now()
    looks, unknown_since = 0, math.inf
    while True:
        found = uses(devices, names, now, wait, wall)
        looks += 1
        occupied = busy(found)
        awaited = [use for use in occupied if use.by != DRAWING]
        if looks > 1 and awaited and when_busy == REFUSE:
            raise OptionError(f"--when-busy refuse: {awaited[0].words()}; {INSTEAD}")
        computing = any(use.by == COMPUTING for use in awaited)
        unknown_since = math.inf if computing else min(unknown_since, now())
        if not awaited or when_busy == GO or now() - unknown_since >= UNKNOWN_SECONDS:
            return [*map(_warning, occupied), *(_hint(use) for use in found if use.full and not use.is_busy)]
        if when_busy == WAIT and (looks == 1 or now() - reported >= REPORT_SECONDS):
            reported = now()
            words, so_far = "; ".join(use.words() for use in awaited), duration(reported - begun)
            at_most = "" if computing else f" but at most {duration(UNKNOWN_SECONDS)}, as a display may use it,"
            report(f"{words}: waiting until it is idle,{at_most} {so_far} so far (--when-busy go does not wait)")
        wait(WAIT_SECONDS)


def _warning(use: Use) -> str:
    return f"{use.words()}: times on it are longer, and vary"


def _hint(use: Use) -> str:
    held = f"{size(use.memory_used or 0)} of {size(use.memory_bytes or 0)} of the memory of {use.titled()}"
    by = f": {listed}" if (listed := use.listed()) else ""
    return f"other processes hold {held}, but compute nothing{by}; large cases and --headroom have what is left"
