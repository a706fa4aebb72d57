"""Prepares a run, before anything is measured: imports its suites, checks its GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torchduet.bench.host.gpus import variables
from torchduet.bench.host.machine import CUDA
from torchduet.bench.plan import preflight
from torchduet.bench.plan.gpu_preflight import check_idle, check_usable
from torchduet.bench.record.devices import device_kind
from torchduet.bench.run.machine_facts import gpus_of
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.resume import continue_at
from torchduet.bench.run.settings import Settings
from torchduet.suites.registry import names


def import_suites(sources: Sequence[str], max_seconds: float) -> tuple[list[str], list[str]]:
    """Import the suites; returns the files that the fork server is to import, and warnings.

    Raises:
        SuiteError: one cannot be used.
    """
    if all(source in names() for source in sources):
        preflight.check_suites(sources, max_seconds)
        return [], []
    from torchduet.bench.workers.imported_once import Imports  # imports torch, as a user's file does

    imports = Imports(alone=sum(source not in names() for source in sources) == 1)
    preflight.check_suites(sources, max_seconds, imports.observed)
    return imports.once, imports.warnings


def environment_warnings(settings: Settings) -> list[str]:
    """A line for each environment variable that changes what this run measures on its GPUs; none without a GPU."""
    devices: Sequence[str] = settings.selection.devices()
    on_gpu = settings.machine.gpus and CUDA in map(device_kind, devices)
    return variables.warnings() if on_gpu and not settings.selecting_only else []


def check_gpus(
    measuring: Measuring, when_busy: str, report: Callable[[str], object], *, together: int = 1
) -> list[str]:
    """Check the GPUs that the selected cases use, after the selection and before the first worker; returns warnings.

    Args:
        together: processes of this run that use a GPU at the same time.
        report: gets a line on what is waited for.

    Raises:
        OptionError: they cannot be used, or others use them and ``when_busy`` is ``refuse``.
    """
    settings, progress = measuring.settings, measuring.progress
    used = gpus_of(settings.machine, progress.families)
    if settings.selecting_only or not used:
        return []
    gpus = {device: measuring.gpus.get(device) for device in used}
    names_of = {f"{CUDA}:{index}": gpu.name for index, gpu in enumerate(settings.machine.gpus)}
    check_usable(gpus, together=together)
    if settings.check_only:
        return []
    at = progress.elapsed()
    warnings = check_idle(gpus, names_of, when_busy, report)
    continue_at(measuring, at)
    progress.warnings += warnings
    return warnings
