"""Checks of the GPUs before the first worker: whether they may be used, and whether other processes use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, sleep

from torchduet.bench.host.gpus.compute_mode import compute_modes, obstacle
from torchduet.bench.host.gpus.use import Use, busy, uses
from torchduet.bench.host.nvml import Device
from torchduet.bench.host.run_lock import GO, REFUSE, REPORT_SECONDS
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.units import duration, size

WAIT_SECONDS = 2.0  # between two looks while others use a GPU
INSTEAD = "end them, choose another GPU with --device or CUDA_VISIBLE_DEVICES, or use --when-busy go"


def check_usable(devices: Mapping[str, Device | None], *, together: int) -> None:
    """Check that this run may use the GPUs as it does.

    Args:
        devices: ``cuda:0`` → the GPU; None where NVML does not have it.
        together: processes of this run that use a GPU at the same time.

    Raises:
        OptionError: a GPU's compute mode forbids it.
    """
    why = obstacle(compute_modes(devices), together=together)
    if why is not None:
        raise OptionError(why)


def check_idle(
    devices: Mapping[str, Device | None],
    names: Mapping[str, str],
    when_busy: str,
    report: Callable[[str], object],
    now: Callable[[], float] = monotonic,
    wait: Callable[[float], object] = sleep,
) -> list[str]:
    """Wait until no other process computes on the GPUs, or refuse, or go on, as ``--when-busy`` says.

    A display server is not waited for: it does not end. Nor is a process that only holds memory.

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
    waited = False
    while True:
        found = uses(devices, names, now, wait)
        occupied = busy(found)
        if occupied and when_busy == REFUSE:
            raise OptionError(f"--when-busy refuse: {occupied[0].words()}; {INSTEAD}")
        awaited = [use for use in occupied if not use.only_draws]
        if not awaited or when_busy == GO:
            return [*map(_warning, occupied), *(_hint(use) for use in found if use.full and not use.is_busy)]
        if not waited or now() - reported >= REPORT_SECONDS:
            waited, reported = True, now()
            words, so_far = "; ".join(use.words() for use in awaited), duration(reported - begun)
            report(f"{words}: waiting until it is idle, {so_far} so far (--when-busy go does not wait)")
        wait(WAIT_SECONDS)


def _warning(use: Use) -> str:
    return f"{use.words()}: times on it are longer, and vary"


def _hint(use: Use) -> str:
    held = f"{size(use.memory_used or 0)} of {size(use.memory_bytes or 0)} of the memory of {use.titled()}"
    by = f": {listed}" if (listed := use.listed()) else ""
    return f"other processes hold {held}, but compute nothing{by}; large cases and --headroom have what is left"
