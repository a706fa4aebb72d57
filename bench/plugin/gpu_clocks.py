"""The pytest side of ``--lock-clocks``: locks GPUs before anything is measured, unlocks them at the end."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from torchduet.bench.host.gpu_clocks.locking import ClockError, lock
from torchduet.bench.host.gpu_clocks.state import header
from torchduet.bench.plan.options import OptionError
from torchduet.bench.run.measuring import Measuring


def lock_clocks(config: pytest.Config, measuring: Measuring, nvml: Any = None) -> None:
    """Lock the clocks of the GPUs that are measured, if that was asked for, until pytest's end.

    Raises:
        OptionError: they cannot be locked; none is then.
    """
    settings = measuring.settings
    frequency = settings.options.lock_clocks
    if frequency is None or settings.selecting_only or settings.check_only:
        return
    try:
        locked = lock(settings.machine.gpus_of(settings.selection.devices()), frequency, nvml)
    except ClockError as error:
        raise OptionError(str(error)) from None

    def unlock() -> None:
        if problem := locked.unlock():
            print(f"torchduet: {problem}", file=sys.stderr, flush=True)

    config.add_cleanup(unlock)
    measuring.timeline.note_locked_clocks(locked.words)


def header_lines(measuring: Measuring) -> list[str]:
    """Whether the clocks of the GPUs that are measured are locked; no line without a GPU."""
    states = measuring.timeline.clocks()
    return [f"torchduet: {header(states)}"] if states else []
