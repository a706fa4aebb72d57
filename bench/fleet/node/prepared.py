"""Prepares the measuring of one machine of a fleet, as the start of a run does: options, suites, checks, the plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torchduet.bench.cases.case import Case
from torchduet.bench.host import run_lock, temporary
from torchduet.bench.host.gpu_clocks.locking import ClockError, lock
from torchduet.bench.host.process.inherited import too_few_files, too_few_tasks
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.host.system_limits import limits
from torchduet.bench.plan import case_globs, preflight
from torchduet.bench.plan.options import OptionError, Options, parse
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.preparing import check_gpus, environment_warnings, import_suites
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.run.warm_starts import check_selection
from torchduet.bench.workers.exit_reason import kill_group
from torchduet.bench.workers.launcher import Launcher, silent_seconds
from torchduet.bench.workers.process import machine_of
from torchduet.suites.registry import names
from torchduet.suites.workload import cores

OF_COMPILER = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class Prepared:
    """A session that is planned.

    Attributes:
        unmatched: values of ``--case`` that match no case of this machine.
    """

    session: Session
    unmatched: tuple[str, ...]


def prepared(
    given: Mapping[str, Any],
    when_busy: str,
    stop_request: StopRequest,
    progress: Progress,
    at_end: ExitStack,
) -> Prepared:
    """Plan all families that this machine can measure; the processes that will measure them are being started.

    Args:
        given: the values of the options, as they were typed.
        progress: shows what is waited for.
        at_end: undoes what this begins.

    Raises:
        OptionError, SuiteError: something that cannot be used.
    """
    preflight.check_temporary()
    if few := too_few_files() or too_few_tasks():
        raise OptionError(few)
    options = parse(**given)
    _own_compiler_folder(at_end)
    silent = options.hang_seconds or silent_seconds(options.budget_seconds)
    files, import_warnings = import_suites(options.suites or (), silent)
    data = preflight.check_data(options.data)
    progress.warnings += limits() + _lock_machine(when_busy, progress.show, at_end) + import_warnings
    progress.warnings += preflight.load_warnings(options.threads or cores())
    run_clock = RunClock()
    launcher = Launcher(
        silent_seconds=silent,
        stop_requested=stop_request.received,
        run_clock=run_clock,
        files=files,
        warn=progress.warnings.append,
    )
    at_end.callback(launcher.close)
    stop_request.at_end += [launcher.servers.kill, lambda: kill_group(launcher.job_control.group)]
    settings = _settings(options, data, launcher)
    progress.warnings += environment_warnings(settings)
    measuring = Measuring(settings, launcher, progress, run_clock)
    session = Session(measuring, stop_request)
    unmatched = _plan(measuring)
    check_gpus(measuring, when_busy, progress.show)
    _lock_clocks(measuring, at_end)
    return Prepared(session, unmatched)


def _settings(options: Options, data: str | None, launcher: Launcher) -> Settings:
    asked = list(map(str, options.asked.get("device", ())))
    machine = machine_of(lambda: launcher.machine(own_process=True))
    machine = machine.measuring(asked or machine.devices())
    preflight.check_devices(asked, machine, selecting_only=False)
    return Settings(options, machine, data=data)


def _plan(measuring: Measuring) -> tuple[str, ...]:
    """Select the cases and plan their families; returns the values of ``--case`` that match none."""
    settings = measuring.settings
    globs = settings.options.cases
    sources = settings.options.suites or names()
    cases: list[Case] = [case for source in sources for _, case in settings.selection.cases(source)]
    unmatched = tuple(glob for glob in globs if not any(case_globs.matches(glob, case.id) for case in cases))
    if globs:
        cases = [case for case in cases if any(case_globs.matches(glob, case.id) for glob in globs)]
    measuring.plan(cases)
    if cases:
        check_selection(settings.options.warm_start, [case.id for case in cases])
    return unmatched


def _own_compiler_folder(at_end: ExitStack) -> None:
    """Name a folder of this process for the compiler, which makes its folder when it is imported."""
    if OF_COMPILER not in os.environ:
        folder = temporary.RunFolder()
        at_end.callback(folder.cleanup)
        os.environ[OF_COMPILER] = str(folder.path / "inductor")


def _lock_machine(when_busy: str, report: Callable[[str], None], at_end: ExitStack) -> list[str]:
    """Take the lock of the machine, as ``--when-busy`` says; returns a warning if another run is measuring, too."""
    taken = run_lock.Lock(run_lock.lock_path())
    at_end.callback(taken.free)
    try:
        warning = taken.take(when_busy, report)
    except run_lock.LockError as error:
        raise OptionError(str(error)) from None
    return [] if warning is None else [warning]


def _lock_clocks(measuring: Measuring, at_end: ExitStack) -> None:
    """Lock the clocks of the GPUs that are measured until the end, if that was asked for."""
    frequency = measuring.settings.options.lock_clocks
    if frequency is None:
        return
    gpus = measuring.settings.machine.gpus_of(measuring.settings.selection.devices())
    try:
        locked = lock(gpus, frequency)
    except ClockError as error:
        raise OptionError(str(error)) from None

    def unlock() -> None:
        if problem := locked.unlock():
            measuring.progress.warnings.append(problem)

    at_end.callback(unlock)
    measuring.timeline.note_locked_clocks(locked.words)
