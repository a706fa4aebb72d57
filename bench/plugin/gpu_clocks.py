"""The pytest side of ``--lock-clocks``: locks GPUs right before anything is measured, unlocks them at the end."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.files.streams import note
from torchduet.bench.host.gpu_clocks.locking import ClockError, Frequency, frequency_words, lock, lockable
from torchduet.bench.host.gpu_clocks.state import header
from torchduet.bench.plan.options import OptionError
from torchduet.bench.run.measuring import Measuring


def check(measuring: Measuring, nvml: Any = None) -> None:
    """Check what can be checked of ``--lock-clocks`` before the selection is known; it locks nothing.

    Raises:
        OptionError: the clocks of a GPU cannot be locked as asked.
    """
    settings, frequency = measuring.settings, _asked(measuring)
    if frequency is None:
        return
    try:
        lockable(settings.machine.gpus_of(settings.selection.devices()), frequency, nvml)
    except ClockError as error:
        raise OptionError(str(error)) from None


def _asked(measuring: Measuring) -> Frequency | None:
    """At what to lock the clocks; None: not at all."""
    settings = measuring.settings
    return None if settings.selecting_only or settings.check_only else settings.options.lock_clocks


def lock_clocks(config: pytest.Config, measuring: Measuring, nvml: Any = None) -> None:
    """Lock the clocks of the GPUs that are measured, if that was asked for, until pytest's end.

    Called once no other process computes on them: a job of somebody else must not run at this run's clocks.

    Raises:
        OptionError: they cannot be locked; none is then.
    """
    settings, frequency = measuring.settings, _asked(measuring)
    if frequency is None:
        return
    try:
        locked = lock(settings.machine.gpus_of(settings.selection.devices()), frequency, nvml)
    except ClockError as error:
        raise OptionError(str(error)) from None

    def unlock() -> None:
        if problem := locked.unlock():
            note(f"torchduet: {problem}")

    config.add_cleanup(unlock)
    measuring.timeline.note_locked_clocks(locked.words)
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for line in header_lines(measuring) if reporter is not None else []:
        reporter.write_line(line)


def header_lines(measuring: Measuring) -> list[str]:
    """Whether the clocks of the GPUs that are measured are locked, or will be; no line without a GPU."""
    states, frequency = measuring.timeline.clocks(), _asked(measuring)
    if frequency is not None and not measuring.timeline.locked:
        states = dict.fromkeys(states, f"to be locked at {frequency_words(frequency)}, before anything is measured")
    return [f"torchduet: {header(states)}"] if states else []
