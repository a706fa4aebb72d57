"""Measures a run's families within its budget, and its pilots, ceilings and profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.copies import with_copies
from torchduet.bench.cases.exchange import Progress as Stage
from torchduet.bench.cases.exchange import Task
from torchduet.bench.cases.outcome import Failed, Outcome, Skipped
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.plan.budget import ENERGY_SECONDS, MIN_SECONDS, Budget, Spent, call_seconds, enough_for
from torchduet.bench.plan.threads import threads_for
from torchduet.bench.plan.too_slow import slow_cases
from torchduet.bench.plan.visits import MIN_VISIT_SECONDS, shortest_visit, visit_seconds
from torchduet.bench.record.journal_events import Began, PilotsTimed
from torchduet.bench.record.schema import IMPORTING, RunRecord
from torchduet.bench.record.telemetry import Timed
from torchduet.bench.record.units import duration, short_duration
from torchduet.bench.run import machine_facts, warm_starts
from torchduet.bench.run.interpreters import Interpreters
from torchduet.bench.run.later_visits import LaterVisit, LaterVisits, kept_folder
from torchduet.bench.run.machine_facts import await_workers, ceiling_seconds, hint_at_energy, measure_ceilings
from torchduet.bench.run.machine_prior import machine_priors
from torchduet.bench.run.profile_selection import Profiling
from torchduet.bench.run.profiles import profile_run
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.records import checked, records
from torchduet.bench.run.settings import Settings
from torchduet.bench.run.visiting import Visiting
from torchduet.bench.timing.stopping import INTERRUPTED, MIN_VISIT_PLACEMENTS
from torchduet.bench.workers.launcher import EndedEarlyError, Launcher, Listen, OutOfTimeError, WorkerError
from torchduet.suites.workload import COMPILED


@dataclass(frozen=True)
class Measurement:
    """A family's outcomes; ``timed``: the machine's figures meanwhile, None if there are none."""

    outcomes: Mapping[Case, Outcome]
    timed: Timed | None = None


class Measuring:
    """Measures families, each in a worker of its own.

    Args:
        run_clock: the launcher's.

    Attributes:
        settings: with the budget that :meth:`plan` has set.
        gpus: ``cuda:N`` → NVML's device, of the GPUs that were asked for; None where NVML does not have it.
        warm_starts: whether the tier's own choice of warm starts is made here, and not by another machine.
        shortest_visit: seconds that a visit times at least.
    """

    shortest_visit = MIN_VISIT_SECONDS

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        progress: Progress | None = None,
        run_clock: RunClock | None = None,
    ) -> None:
        self.settings, self.launcher, self.progress = settings, launcher, progress or Progress()
        self.run_clock = run_clock or RunClock()
        self.budget: Budget | None = None
        self.gpus, self.monitor, self.timeline = machine_facts.watches(settings, launcher, self.progress, monotonic)
        priors = machine_priors(settings.machine.facts(), settings.threads, self.progress.warnings)
        self.visiting = Visiting(priors, self.shortest_visit)
        self._later = LaterVisits(
            self.visiting, launcher, self.progress, self.monitor, self.task_of, self._pilots_before, self.run_clock
        )
        self._interpreters = Interpreters(launcher.servers, settings.threads, self.progress)
        self._ceilings_measured = False  # by this process
        self.warm_starts = True

    def plan(self, selected: Sequence[Case]) -> None:
        """Set the families and the budget; called once, after pytest's selection."""
        self.settings = self.settings.with_part(self.progress.shard_part)
        options = self.settings.options
        families = self.settings.selection.families(selected)
        if options.self_check:
            families = [with_copies(family, options.slowdowns) for family in families]
            if not options.budget_given:
                options = replace(options, budget_seconds=enough_for(families))
        if options.energy and not options.budget_given:
            cases = sum(len(family.cases) for family in families)
            options = replace(options, budget_seconds=options.budget_seconds + ENERGY_SECONDS * cases)
        self.settings = self.settings.with_options(options)
        self.progress.families = families
        self.monitor.piloted = machine_facts.gpus_of(self.settings.machine, families)
        if families and not self.settings.selecting_only:
            compiled = any(case.mode in COMPILED for family in families for case in family.cases)
            suites = {case.source for family in families for case in family.cases}
            self.launcher.start(compiler=compiled, suites=sorted(suites))

    def before(self, family: Family) -> list[Family]:
        """The families to measure now, this one last: suites take turns where the time may be too short for all.

        Raises:
            EndedEarlyError: the run is to end.
        """
        self.begin()
        return self._order(family)

    def begin(self) -> None:
        """Start the budget, unless it has begun: before the first family, or the first visit of a resumed run."""
        if self.budget is None:
            self._begin()

    def _order(self, family: Family) -> list[Family]:
        assert self.budget is not None
        return [*(() if self.settings.check_only else self.budget.in_turns_first(family)), family]

    def measure(self, family: Family) -> Measurement:
        """Measure a family after :meth:`before`, as far as the budget allows.

        Raises:
            EndedEarlyError: the run is to end, and too little of the family was timed.
        """
        assert self.budget is not None
        planned = family
        family, too_slow = self.progress.too_slow.split(planned)
        skips: dict[Case, Outcome] = {case: Skipped(reason) for case, reason in too_slow.items()}
        if not family.reported:
            self.done(planned, Spent())
            return Measurement(skips)
        share = MIN_SECONDS if self.settings.check_only else self.budget.allot(planned)
        if share is None:
            self.done(planned, Spent())
            return Measurement(skips | dict.fromkeys(family.reported, Skipped(self.out_of_budget())))
        self.progress.show(f"{self.progress.position()} {family.name} · {self.time_left()}")
        if not self.settings.check_only:
            self._pilots_before(family.name)
            self._interpreters.grow(self.budget.seconds_left())
        servers = self.launcher.servers
        servers.choose(0)
        spent = servers.cpu_seconds()
        started, at, awake = monotonic(), self.progress.elapsed(), self.run_clock.awake
        began = awake()
        try:
            result = self.launcher.measure(self._first_task(family, share), self._listener(family.name))
        except OutOfTimeError:
            self.done(planned, Spent())
            return Measurement(skips | dict.fromkeys(family.reported, Skipped(self.out_of_budget())))
        except WorkerError as error:
            self.done(planned, Spent(retry=True))
            self.progress.count_death(family)
            return Measurement(skips | dict.fromkeys(family.reported, Failed(f"{family.name}: {error}")))
        self.progress.deaths.clear()
        ended_early = result.stop == INTERRUPTED
        if ended_early and any(case.blocks and len(case.blocks) < MIN_VISIT_PLACEMENTS for case in result.results):
            raise EndedEarlyError
        timing = result.seconds["timed"] + result.seconds["warming"]
        self.budget.set_aside(-(importing := result.seconds.get(IMPORTING, 0.0)))  # no case is to blame for it
        fixed, slow = awake() - began - timing - importing, slow_cases(result.results)
        self.done(planned, Spent(fixed, (share, timing), result.seconds, slow, retry=ended_early))
        if self.settings.check_only:
            return Measurement(skips | checked(family, result))
        outcomes = records(family, result, workload_of(family.reference), at)
        self.visiting.add_answer(family, result, outcomes, share, at)
        hint_at_energy(self.progress, outcomes)
        return Measurement(skips | outcomes, self.monitor.add_family(started, result, servers.cpu_seconds() - spent))

    def _listener(self, name: str) -> Listen:
        """Shows a worker's progress."""

        def listen(stage: Stage) -> None:
            if stage.fraction:
                self.monitor.sample_gpus()
            what = stage.what if name in stage.what else f"{name}: {stage.what}"
            percent = f" {stage.fraction:.0%}" if stage.fraction else ""
            self.progress.show(f"{self.progress.position()} {what}{percent} · {self.time_left()}")

        return listen

    def _first_task(self, family: Family, share: float) -> Task:
        task = self.task_of(
            family, visit_seconds(len(family.cases), share, shortest=shortest_visit(family, self.shortest_visit))
        )
        assert self.budget is not None
        compiled, (grace, compiling) = kept_folder(self.launcher, family), self.budget.of_first_visit()
        return replace(task, share=share, compiled=compiled, grace=grace, compiling=compiling)

    def visit(self) -> LaterVisit | None:
        """Visit the family again for which that is worth most; None where no visit is left, or no time for one.

        Raises:
            EndedEarlyError: the run is to end.
        """
        self.begin()  # where every family was measured before the run was resumed
        assert self.budget is not None
        if not self._ceilings_measured:
            self._measure_ceilings()
        self._interpreters.grow(self.budget.seconds_left(), later=True)
        return self._later.next(self.budget.seconds_left, self.time_left)

    def finish(self) -> None:
        """Measure what comes after the last family; called once."""
        if not self.settings.check_only:
            self._pilots_before("", due=True)
            self._measure_ceilings()

    def profile(self, profiling: Profiling) -> None:
        """Profile cases; called after all timing, so that it disturbs none."""
        profile_run(profiling, self.progress, self.launcher, self.task_of)

    def identity(self) -> dict[str, dict[str, Any]]:
        """What else must be equal for another process to continue the run, by kind and name."""
        return {}

    def completed(self, record: RunRecord) -> RunRecord:
        """The run's record, with what this way of measuring adds to it."""
        return record

    def done(self, family: Family, spent: Spent) -> None:
        """Account for a finished family, in the budget and in the progress."""
        assert self.budget is not None
        self.budget.done(family, spent.fixed, measured=spent.timing is not None, starting=spent.starting)
        self.progress.add_finished(family, spent)

    def time_left(self) -> str:
        """How much longer the run will take, in words: visits make use of the budget, unless all is precise."""
        return f"at most {duration(max(0.0, self.budget.seconds_left() if self.budget else 0.0))} left"

    def out_of_budget(self) -> str:
        """The reason of cases that were left out, as too little of the budget was left."""
        return (
            f"too little was left of the run's budget of {short_duration(self.settings.options.budget_seconds)}; "
            "raise --budget or select fewer cases with -k"
        )

    def _begin(self) -> None:
        """Wait for the workers, and start the budget; called once, before the first family or visit."""
        options, progress = self.settings.options, self.progress
        progress.show("starting: importing torch and its compiler once for all workers")
        await_workers(self.launcher, self.settings, self.progress)
        began, (spent, set_aside) = progress.elapsed(), progress.spent_before or (0.0, 0.0)
        self.budget = Budget(
            options.budget_seconds,
            progress.families,
            call_seconds(progress.families),
            ENERGY_SECONDS if options.energy else 0.0,
            asked_for=options.budget_given,
            spent=spent,
            now=self.run_clock.awake,
        )
        for family, cost in progress.finished_families:
            self.budget.done(family, cost.fixed, measured=cost.timing is not None, starting=cost.starting)
        if self.settings.check_only:
            return
        self.timeline.start()
        left = [family for family in progress.families if not progress.has_finished(family)]
        first = self._order(left[0])[0].name if left else next(iter(self.visiting.families), "")
        if progress.spent_before is not None:
            self._pilots_before(first, due=True)
        else:
            progress.startup = began
            self._pilots_before(first)
            pilots = progress.elapsed() - began  # they are timed again at the end
            warm = warm_starts.set_aside(options) * self.warm_starts
            set_aside = pilots + ceiling_seconds(progress, options.budget_seconds) + warm
            progress.write(Began(at=began, startup=began, set_aside=set_aside))
        self.budget.set_aside(set_aside)

    def task_of(self, family: Family, seconds: float = MIN_SECONDS) -> Task:
        """What a worker does of a family, for so many seconds of timing."""
        options = self.settings.options
        return Task(
            family,
            seconds,
            threads_for(family, self.settings.threads, self.settings.machine),
            max_seconds=math.inf if self.budget is None else self.budget.max_seconds(),
            check_only=self.settings.check_only,
            data=options.data,
            cold=options.cold,
            energy=options.energy,
            headroom=options.headroom,
            uuids=self.settings.machine.uuids(),
        )

    def _pilots_before(self, family: str, *, due: bool = False) -> None:
        """Time the pilots if they are due, and write them to the journal."""
        before = len(self.monitor.pilots)
        self.launcher.servers.choose(0)  # the same interpreter all the time: pilots are compared with each other
        self.monitor.pilots_before(family, due=due)
        for pilot in self.monitor.pilots[before:]:
            self.progress.write(PilotsTimed(at=self.progress.elapsed(), pilot=pilot))

    def _measure_ceilings(self) -> None:
        """Measure the machine's ceilings, after the first visits and at the end, as the load by others changes."""
        self._ceilings_measured = True
        measure_ceilings(self.launcher, self.progress, self.settings.threads, self.settings.options.budget_seconds)
