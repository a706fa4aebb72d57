"""The pytest side of the GPUs' checks: what the environment changes, and who else uses the GPUs of the selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from torchduet.bench.files.streams import note
from torchduet.bench.host.gpus import variables
from torchduet.bench.host.machine import CUDA
from torchduet.bench.plan.gpu_preflight import check_idle, check_usable
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plugin.stash import DUET
from torchduet.bench.record.devices import device_kind
from torchduet.bench.run.machine_facts import gpus_of
from torchduet.bench.run.resume import continue_at
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings


def environment_warnings(settings: Settings) -> list[str]:
    """A line for each environment variable that changes what this run measures on its GPUs; none without a GPU."""
    devices: Sequence[str] = settings.selection.devices()
    on_gpu = settings.machine.gpus and CUDA in map(device_kind, devices)
    return variables.warnings() if on_gpu and not settings.selecting_only else []


def check(config: pytest.Config, session: Session) -> None:
    """Check the GPUs that the selected cases use, after the selection and before the first worker.

    Raises:
        pytest.UsageError: they cannot be used, or others use them and ``--when-busy refuse`` was given.
    """
    settings, progress = session.settings, session.progress
    used = gpus_of(settings.machine, progress.families)
    if settings.selecting_only or not used:
        return
    gpus = {device: session.measuring.gpus.get(device) for device in used}
    names = {f"{CUDA}:{index}": gpu.name for index, gpu in enumerate(settings.machine.gpus)}
    try:
        check_usable(gpus, together=1 if config.stash[DUET] is None else 2)
        if settings.check_only:
            return
        at = progress.elapsed()
        warnings = check_idle(gpus, names, config.getoption("when_busy"), _report)
        continue_at(session.measuring, at)
    except OptionError as error:
        raise pytest.UsageError(str(error)) from None
    progress.warnings += warnings
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for warning in warnings if reporter is not None else []:
        reporter.write_line(f"torchduet: warning: {warning}")


def _report(words: str) -> None:
    note(f"torchduet: {words}")
