"""Measures a run's families within its budget, and what is measured beside them: pilots, ceilings, profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.copies import with_copies
from torchduet.bench.cases.exchange import FamilyResult, Task
from torchduet.bench.cases.outcome import Failed, Measured, Outcome, Skipped
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.noise.monitor import Monitor
from torchduet.bench.passes.energy import ENERGY_SECONDS
from torchduet.bench.plan.budget import MIN_SECONDS, Budget, Spent, enough_for
from torchduet.bench.plan.too_slow import too_slow
from torchduet.bench.record.ceilings import highest
from torchduet.bench.record.devices import device_kind
from torchduet.bench.record.journal_events import Began, CeilingsMeasured, PilotsTimed
from torchduet.bench.record.schema import RunRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.record.telemetry import Timed
from torchduet.bench.record.units import duration
from torchduet.bench.run.profile_selection import Profiling, profile_all
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.records import records
from torchduet.bench.run.settings import Settings
from torchduet.bench.timing.stopping import INTERRUPTED
from torchduet.bench.workers.launcher import Launcher, StoppedError, WorkerError
from torchduet.bench.workers.messages import Progress as Stage
from torchduet.suites.workload import COMPILED

CEILING_SHARE = 0.015  # of the budget, at the start and again at the end
MAX_CEILING_SECONDS = 1.5
MAX_DEATHS = 3  # of workers, of as many workloads, until the run stops with what it has


@dataclass(frozen=True)
class Measurement:
    """What came out of a family; ``timed``: what was seen of the machine meanwhile, None where nothing was."""

    outcomes: Mapping[Case, Outcome]
    timed: Timed | None = None


class Measuring:
    """Measures families, each in a worker of its own.

    Args:
        passing: whether the run's time passes as it should; the launcher's.

    Attributes:
        settings: with the budget that :meth:`plan` settled on.
        resumable: whether another process can go on with the run.
    """

    resumable = True

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        progress: Progress | None = None,
        passing: RunClock | None = None,
    ) -> None:
        self.settings, self.launcher = settings, launcher
        self.progress, self.run_clock = progress or Progress(), passing or RunClock()
        self.budget: Budget | None = None
        used = settings.machine.gpus_of(settings.selection.devices())
        gpus = Gpus(list(used.values()))
        budget = settings.options.budget_seconds
        self.monitor = Monitor(launcher, settings.threads, budget, self.progress.warnings.append, gpus)
        self.timeline = Timeline(dict(zip(used, gpus.devices, strict=True)), gpus.why)
        self._deaths: list[str] = []  # workloads whose workers gave no answer, one after the other

    def plan(self, selected: Sequence[Case]) -> None:
        """Fix the families and the budget: called once, when pytest has made its selection."""
        options = self.settings.options
        families = self.settings.selection.families(selected)
        if options.self_check:
            families = [with_copies(family, options.slowdowns) for family in families]
            if not options.budget_given:
                options = replace(options, budget_seconds=enough_for(families))
        if options.energy and not options.budget_given:
            cases = sum(len(family.cases) for family in families)
            options = replace(options, budget_seconds=options.budget_seconds + ENERGY_SECONDS * cases)
        self.settings = replace(self.settings, options=options)
        self.progress.families = families
        if families and not self.settings.selecting_only:
            compiled = any(case.mode in COMPILED for family in families for case in family.cases)
            self.launcher.start(compiler=compiled)

    def measure(self, family: Family) -> Measurement:
        """Measure a family, as far as the budget goes.

        Raises:
            StoppedError: the run was asked to stop before there was enough of it.
        """
        show = self.progress.show
        if self.budget is None:
            show("starting: importing torch and its compiler once for all workers")
            self.await_workers()
            self._start_budget(family)
        assert self.budget is not None
        planned = family
        family, hopeless = self.progress.slowness.split(planned)
        skips: dict[Case, Outcome] = {case: Skipped(reason) for case, reason in hopeless.items()}
        if not family.reported:
            self.done(planned, Spent())
            return Measurement(skips)
        seconds = MIN_SECONDS if self.settings.check_only else self.budget.allot(planned)
        if seconds is None:
            self.done(planned, Spent())
            return Measurement(skips | dict.fromkeys(family.reported, Skipped(self.too_short())))

        def listen(stage: Stage) -> None:
            if stage.fraction:
                self.monitor.sample_gpus()
            what = stage.what if family.name in stage.what else f"{family.name}: {stage.what}"
            percent = f" {stage.fraction:.0%}" if stage.fraction else ""
            show(f"{self.progress.place()} {what}{percent} · {self.left()}")

        show(f"{self.progress.place()} {family.name} · {self.left()}")
        if not self.settings.check_only:
            self._pilots_before(family.name)
        started, awake = monotonic(), self.run_clock.awake
        began = awake()
        try:
            result = self.launcher.measure(self._task(family, seconds), listen)
        except WorkerError as error:
            self.done(planned, Spent(again=True))
            self._count_deaths(family)
            return Measurement(skips | dict.fromkeys(family.reported, Failed(f"{family.name}: {error}")))
        self._deaths.clear()
        interrupted = result.stop == INTERRUPTED
        if interrupted and any(one.blocks and len(one.blocks) < MIN_PLACEMENTS for one in result.results):
            raise StoppedError
        timing = result.seconds["timed"] + result.seconds["warming"]
        fixed, slow = awake() - began - timing, too_slow(result.results)
        self.done(planned, Spent(fixed, (seconds, timing), result.seconds, slow, again=interrupted))
        if self.settings.check_only:
            return Measurement(skips | _checked(family, result))
        made = records(family, result, workload_of(family.reference))
        self._hint_at_energy(made)
        return Measurement(skips | made, self.monitor.add_family(started, result))

    def finish(self) -> None:
        """After the last family, once."""
        if not self.settings.check_only:
            self._pilots_before("", due=True)
            self._measure_ceilings()

    def profile(self, profiling: Profiling) -> None:
        """After all timing, so that it disturbs none."""
        begun, progress = monotonic(), self.progress
        profiles, warnings = profile_all(
            profiling,
            progress.families,
            progress.records(),
            self.launcher,
            lambda family: self._task(family, MIN_SECONDS),
            progress.show,
        )
        for case, profile in profiles.items():
            progress.outcomes.amend(case, profile=profile)
        progress.warnings += warnings
        progress.seconds["profiling"] = monotonic() - begun

    def completed(self, record: RunRecord) -> RunRecord:
        """The run's record, with what only this way of measuring has to say."""
        return record

    def done(self, family: Family, spent: Spent) -> None:
        """A family is done: the budget and the progress learn what it cost."""
        assert self.budget is not None
        self.budget.done(family, spent.fixed, spent.timing)
        self.progress.done(family, spent)

    def left(self) -> str:
        """How long the run will take yet, in words."""
        assert self.budget is not None
        return self.progress.left(self.budget.seconds_left())

    def too_short(self) -> str:
        """Why a family was left out for want of time."""
        return (
            f"what was left of the run's budget of {duration(self.settings.options.budget_seconds)} was too short for "
            "it; raise --budget or select fewer cases with -k"
        )

    def call_seconds(self) -> dict[str, float]:
        """Family's name → about how long one call takes, in seconds, of workloads that say so; else 0."""
        return {
            family.name: workload_of(family.reference).seconds_of(dict(family.reference.size))
            for family in self.progress.families
        }

    def await_workers(self) -> None:
        """Wait until workers can be started, and make sure that they can use the devices."""
        seen, machine = self.launcher.machine(), self.settings.machine
        wanted = dict.fromkeys(device_kind(device) for device in self.settings.selection.devices())
        here = [kind for kind in wanted if kind in machine.devices()]
        # Something that the fork server imported may have initialised CUDA, which no fork of it can use then.
        lost = [kind for kind in here if kind not in seen.devices() or kind in machine.not_after_a_fork()]
        if lost:
            self.launcher.spawn_workers()
            named = ", ".join(kind.upper() for kind in lost)
            anew = "each worker imports torch anew, some seconds each"
            self.progress.warnings.append(f"{anew}: the fork server cannot use {named}")

    def _start_budget(self, first: Family) -> None:
        options, progress = self.settings.options, self.progress
        began, (spent, set_aside) = progress.elapsed(), progress.spent or (0.0, 0.0)
        self.budget = Budget(
            options.budget_seconds,
            progress.families,
            self.call_seconds(),
            ENERGY_SECONDS if options.energy else 0.0,
            asked_for=options.budget_given,
            spent=spent,
            now=self.run_clock.awake,
        )
        for family, known in progress.learned:
            self.budget.done(family, known.fixed, known.timing)
        if self.settings.check_only:
            return
        self.timeline.start()
        if progress.spent is not None:
            self._pilots_before(first.name, due=True)
        else:
            progress.startup = began
            self._measure_ceilings()
            self._pilots_before(first.name)
            set_aside = progress.elapsed() - began  # both are measured once more at the end
            progress.write(Began(at=began, startup=began, set_aside=set_aside))
        self.budget.set_aside(set_aside)

    def _task(self, family: Family, seconds: float) -> Task:
        options = self.settings.options
        return Task(
            family,
            seconds,
            self.settings.threads,
            most=math.inf if self.budget is None else self.budget.most(),
            check_only=self.settings.check_only,
            data=options.data,
            cold=options.cold,
            energy=options.energy,
            headroom=options.headroom,
            uuids=self.settings.machine.uuids(),
        )

    def _pilots_before(self, family: str, *, due: bool = False) -> None:
        """Time the pilots if they are due, and keep that."""
        before = len(self.monitor.pilots)
        self.monitor.pilots_before(family, due=due)
        for pilot in self.monitor.pilots[before:]:
            self.progress.write(PilotsTimed(at=self.progress.elapsed(), pilot=pilot))

    def _measure_ceilings(self) -> None:
        """What the machine can do at best, at the start and at the end: the load by others changes."""
        progress = self.progress
        cases = [case for family in progress.families for case in family.cases]
        progress.show("measuring the machine's own ceilings")
        devices = sorted({case.device for case in cases})
        precisions = sorted({"fp32", *(case.precision for case in cases)})
        seconds = min(MAX_CEILING_SECONDS * len(devices), CEILING_SHARE * self.settings.options.budget_seconds)
        try:
            measured = self.launcher.ceilings(devices, precisions, self.settings.threads, seconds)
        except WorkerError as error:
            progress.warnings.append(f"the machine's ceilings are not known: {error}")
        else:
            progress.ceilings = highest([progress.ceilings, measured])
            progress.write(CeilingsMeasured(at=progress.elapsed(), ceilings=measured))

    def _count_deaths(self, family: Family) -> None:
        """Several workloads in a row whose workers die: something is wrong with more than the workloads."""
        self._deaths.append(f"{family.reference.suite}.{family.reference.workload}")
        if len(set(self._deaths)) >= MAX_DEATHS:
            self.progress.stopped = f"the workers of {MAX_DEATHS} workloads gave no answer one after the other"

    def _hint_at_energy(self, made: Mapping[Case, Outcome]) -> None:
        """Say once for each reason why energies that were asked for are not known."""
        for record in (one.record for one in made.values() if isinstance(one, Measured)):
            why = record.get("energy", {}).get("why")
            hint = f"energy on {record['case']['device']}: {why}"
            if why is not None and hint not in self.progress.hints:
                self.progress.hints.append(hint)


def _checked(family: Family, result: FamilyResult) -> dict[Case, Outcome]:
    """The outcomes of cases that were checked and not timed."""
    results = {result.case: result for result in result.results}
    checked = "checked, not timed (--benchmark-disable)"
    failures = {case: results[case].error for case in family.reported}
    return {case: Failed(why) if why else Skipped(results[case].skip or checked) for case, why in failures.items()}
