"""What a run finds out of its machine beside the cases: its devices, its noise, ceilings, why energies are unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Measured, Outcome
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.gpus.sampling import OtherProcesses
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.nvml import Device
from torchduet.bench.noise.monitor import Monitor
from torchduet.bench.record.ceilings import highest
from torchduet.bench.record.devices import device_kind
from torchduet.bench.record.journal_events import CeilingsMeasured
from torchduet.bench.record.knobs import number_format
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import Launcher, WorkerError

CEILING_SHARE = 0.015  # of the budget, after the first visits and again at the end
MAX_CEILING_SECONDS = 1.5


def await_workers(launcher: Launcher, settings: Settings, progress: Progress) -> None:
    """Wait until workers can be started, and make sure that they can use the devices."""
    in_worker, machine = launcher.machine(), settings.machine
    wanted = dict.fromkeys(device_kind(device) for device in settings.selection.devices())
    present = [kind for kind in wanted if kind in machine.devices()]
    # A module that the fork server imported may have initialised CUDA, which no fork of it can use then.
    lost = [kind for kind in present if kind not in in_worker.devices() or kind in machine.not_after_a_fork()]
    if lost:
        launcher.spawn_workers()
        named = ", ".join(kind.upper() for kind in lost)
        slower = "each worker imports torch itself, which takes some seconds each time"
        progress.warnings.append(f"{slower}: the fork server cannot use {named}")


def watches(
    settings: Settings, launcher: Launcher, progress: Progress, now: Callable[[], float]
) -> tuple[dict[str, Device | None], Monitor, Timeline]:
    """What watches the machine during a run: NVML's device of each GPU, the noise monitor, the GPUs' timeline.

    Args:
        now: seconds of the monitor's clock.
    """
    uuids = settings.machine.gpus_of(settings.selection.devices())
    gpus = Gpus(list(uuids.values()))
    devices = dict(zip(uuids, gpus.devices, strict=True))
    budget, warn = settings.options.budget_seconds, progress.warnings.append
    monitor = Monitor(launcher, settings.threads, budget, warn, gpus, now, OtherProcesses(devices, now=now))
    return devices, monitor, Timeline(devices, gpus.why)


def gpus_of(machine: Machine, families: Iterable[Family]) -> tuple[str, ...]:
    """``cuda:N`` of the GPUs that the cases of these families use."""
    return tuple(machine.gpus_of(sorted({case.device for family in families for case in family.cases})))


def ceiling_seconds(progress: Progress, budget_seconds: float) -> float:
    """Seconds for measuring the ceilings once."""
    devices = {case.device for family in progress.families for case in family.cases}
    return min(MAX_CEILING_SECONDS * len(devices), CEILING_SHARE * budget_seconds)


def measure_ceilings(launcher: Launcher, progress: Progress, threads: int, budget_seconds: float) -> None:
    """Measure the machine's ceilings; the best of all measurements are kept."""
    cases = [case for family in progress.families for case in family.cases]
    progress.show("measuring the machine's own ceilings")
    devices = sorted({case.device for case in cases})
    precisions = sorted({"fp32", *(number_format(case.precision) for case in cases)})
    seconds = ceiling_seconds(progress, budget_seconds)
    try:
        measured = launcher.ceilings(devices, precisions, threads, seconds)
    except WorkerError as error:
        progress.warnings.append(f"the machine's ceilings are not known: {error}")
    else:
        progress.ceilings = highest([progress.ceilings, measured])
        progress.write(CeilingsMeasured(at=progress.elapsed(), ceilings=measured))


def hint_at_energy(progress: Progress, outcomes: Mapping[Case, Outcome]) -> None:
    """Add a hint for each reason for which an energy is not known."""
    for record in (outcome.record for outcome in outcomes.values() if isinstance(outcome, Measured)):
        why = record.get("energy", {}).get("why")
        hint = f"energy on {record['case']['device']}: {why}"
        if why is not None and hint not in progress.hints:
            progress.hints.append(hint)
