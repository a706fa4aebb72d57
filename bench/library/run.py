"""Runs a comparison of a program's functions: the first visit in its process, later ones in fresh processes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.outcome import Failed, Outcome, Skipped
from torchduet.bench.host import run_lock
from torchduet.bench.host.gpus import variables
from torchduet.bench.host.gpus.compute_mode import EXCLUSIVE, compute_modes, obstacle
from torchduet.bench.host.gpus.mps import uses_mps
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.library.caller import measuring_here
from torchduet.bench.library.described import Described
from torchduet.bench.library.launcher import CallerLauncher, shared_launcher
from torchduet.bench.library.measuring import CallerMeasuring
from torchduet.bench.plan.options import NO_CASE, OptionError, Options
from torchduet.bench.plan.preflight import check_devices
from torchduet.bench.plan.selection import Selection
from torchduet.bench.record.contract import readable_run
from torchduet.bench.record.devices import HOST
from torchduet.bench.record.schema import Record, RunRecord
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.process import describe_machine
from torchduet.suites import registry

WRONG = "its result is wrong"
SECONDS_PER_FAMILY = 3.0  # of the default budget, for two cases
SECONDS_PER_FURTHER_CASE = 1.0

_one_at_a_time = threading.RLock()


@dataclass(frozen=True)
class Finished:
    """What a comparison found.

    Attributes:
        records: of the cases that were measured.
        run: the run's own record.
        visits: how many were made in the calling process, and in fresh processes.
        alone: why none was made in a fresh process; empty if one was.
        failed, skipped: case id → the reason.
        function_of: case id → the function's name, of every case.
        stopped: why it ended early; empty if it did not.
    """

    records: Sequence[Record]
    run: RunRecord
    visits: tuple[int, int]
    alone: str
    failed: Mapping[str, str]
    skipped: Mapping[str, str]
    function_of: Mapping[str, str]
    stopped: str
    started: datetime


@cache
def _machine() -> Any:
    return describe_machine(None, lambda *_: None)


def run(
    described: Described,
    *,
    budget: float | None = None,
    threads: int | None = None,
    fresh: bool = True,
    check_only: bool = False,
    show: Callable[[str, float], None] = lambda *_: None,
) -> Finished:
    """Measure what is described; one comparison at a time in a process.

    Args:
        budget: seconds for all, without compilation; None: 3 s for two functions at one size, and so on.
        threads: intra-op threads; None: those that this process has now.
        fresh: False: make every visit in this process.
        check_only: check the results and time nothing.
        show: gets what is being done, and the fraction of the budget that is used up.

    Raises:
        SuiteError, OptionError: something that cannot be used; the message names the keyword.
        KeyboardInterrupt: a second Ctrl-C, or the first before anything was timed.
    """
    with _one_at_a_time:
        suite = described.suite()
        lock = run_lock.Lock(run_lock.lock_path())
        together = lock.take(run_lock.GO, lambda _: None)
        try:
            with measuring_here() as stop:
                workers = shared_launcher(stop.received)
                with workers.servers.in_use():
                    alone = "" if fresh and not check_only else "processes=False was given"
                    launcher = CallerLauncher(described, workers, alone=alone)
                    registry.give(launcher.source, [suite])
                    try:
                        return _measured(described, launcher, stop, budget, threads, check_only, show, together)
                    finally:
                        registry.withdraw(launcher.source)
                        launcher.close()
        finally:
            lock.free()


def _measured(
    described: Described,
    launcher: CallerLauncher,
    stop: Any,
    budget: float | None,
    threads: int | None,
    check_only: bool,
    show: Callable[[str, float], None],
    together: str | None,
) -> Finished:
    machine = _machine().measuring(described.devices)
    asked: dict[str, tuple[str | int, ...]] = {"device": described.devices}
    options = Options(
        tier="full",
        warm_start=NO_CASE,
        asked=asked,
        suites=(launcher.source,),
        data=None,
        threads=threads or torch.get_num_threads(),
        budget_seconds=budget or SECONDS_PER_FAMILY,
        budget_given=True,
    )
    check_devices([*described.devices], machine, selecting_only=False)
    if budget is None:
        selected = Selection(options, machine, claims_only=False).cases(launcher.source)
        options = replace(options, budget_seconds=_usual_budget([case for _, case in selected]))
    settings = Settings(options, machine, check_only=check_only)
    cases = [case for _, case in settings.selection.cases(launcher.source)]
    progress = Progress([together] if together else [])
    measuring = CallerMeasuring(settings, launcher, progress, RunClock())
    progress.show = lambda text: show(
        text, 0.0 if measuring.budget is None else 1 - measuring.budget.seconds_left() / options.budget_seconds
    )
    session = Session(measuring, stop)
    measuring.plan(cases)
    _check_gpus(measuring, launcher)
    stop.graceful = True
    outcomes = {case: session.outcome(case) for case in cases if session.reaches(case)}
    record, lines = readable_run(session.run_record())
    record["options"]["suite"] = None
    record["warnings"] += lines
    return Finished(
        session.records(),
        record,
        (sum(of.visited.number for of in measuring.visiting.families.values()) - launcher.fresh, launcher.fresh),
        "" if launcher.fresh else launcher.alone or "no fresh process was ready within the budget",
        _reasons(outcomes, Failed, next(iter(described.functions))),
        _reasons(outcomes, Skipped, next(iter(described.functions))),
        {case.id: case.implementation for case in cases},
        progress.stopped,
        datetime.now(UTC),
    )


def _check_gpus(measuring: CallerMeasuring, launcher: CallerLauncher) -> None:
    """Check that the functions' GPUs may be used, and warn of variables that change what is measured on them.

    Raises:
        OptionError: no process may use one of them.
    """
    gpus = {device: measuring.gpus.get(device) for device in measuring.monitor.piloted}
    if not gpus:
        return
    measuring.progress.warnings += variables.warnings()
    modes = compute_modes(gpus)
    if (why := obstacle(modes, together=1)) is not None:
        raise OptionError(why)
    exclusive = [gpus[device] for device, mode in modes.items() if mode == EXCLUSIVE]
    alone = any(gpu is not None and not uses_mps(gpu) for gpu in exclusive)
    if alone and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        launcher.alone = launcher.alone or f"the GPU is in compute mode {EXCLUSIVE}, and this process uses it"


def _reasons(outcomes: Mapping[Case, Outcome], kind: type[Failed | Skipped], reference: str) -> dict[str, str]:
    """Case id → why it has no result."""
    return {
        case.id: _reason(case, outcome.reason, reference)
        for case, outcome in outcomes.items()
        if isinstance(outcome, kind)
    }


def _reason(case: Case, reason: str, reference: str) -> str:
    """The reason with the function's name and what distinguishes its case, instead of the id."""
    words = [word for word in case.variant if word not in (HOST, "eager", "fp32")]
    name = " ".join(
        [case.size_label] * bool(case.size)
        + (words if words[:1] == [case.implementation] else [case.implementation, *words])
    )
    text = reason.removeprefix(f"{case.id}: ").removeprefix(f"{case.family}: ")
    if case.implementation != reference and text.startswith(WRONG):
        # Held against the reference's own result in float64: which of both is wrong is not known.
        return f"{name} and {reference} return different results{text.removeprefix(WRONG)}"
    return f"{name}: {text}"


def _usual_budget(cases: Sequence[Case]) -> float:
    """Seconds for these cases if none were asked for."""
    counts = Counter(case.family for case in cases).values()
    return sum(SECONDS_PER_FAMILY + SECONDS_PER_FURTHER_CASE * max(0, count - 2) for count in counts)
