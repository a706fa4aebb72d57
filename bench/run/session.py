"""One run: which families are selected, their measurement on first demand, and the run's record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import monotonic

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.copies import with_twins
from torchduet.bench.cases.exchange import Task
from torchduet.bench.noise.family_noise import Timed
from torchduet.bench.passes.energy import ENERGY_SECONDS
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.plan.budget import LEAST_SECONDS, Budget, enough_for
from torchduet.bench.plan.too_slow import too_slow
from torchduet.bench.record.devices import device_kind
from torchduet.bench.record.journal import Place
from torchduet.bench.record.schema import Record, RunRecord, SelfCheckRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.run import aa_summary
from torchduet.bench.run.profile_selection import Profiling, profile_all
from torchduet.bench.run.records import Outcome, Skip, highest, records
from torchduet.bench.run.resume import Spent, family_entry
from torchduet.bench.run.run_record import run_record
from torchduet.bench.run.state import State
from torchduet.bench.timing.stopping import INTERRUPTED
from torchduet.bench.workers.launcher import StoppedError, WorkerError
from torchduet.bench.workers.messages import Progress
from torchduet.suites.workload import COMPILED

CEILING_SHARE = 0.015  # of the budget, at the start and again at the end
MOST_CEILING_SECONDS = 1.5
MOST_DEATHS = 3  # of workers, of as many workloads, until the run stops with what it has


@dataclass
class Session(State):
    """One ``pytest bench/``; for its arguments see :class:`torchduet.bench.run.state.State`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._deaths: list[str] = []  # workloads whose workers gave no answer, one after the other
        self._timed: Timed | None = None  # the family that was measured last
        self._asked_for: Sequence[Case] = ()  # of it
        self._written: Place | None = None  # where it stands in the journal
        self._family: dict[Case, Family] = {}

    def plan(self, selected: Sequence[Case]) -> None:
        """Fix the families: called once, when pytest has made its selection."""
        self.families = self.selection.families(selected)
        if self.options.self_check:
            self.families = [with_twins(family, self.options.slowdowns) for family in self.families]
            if not self.options.budget_given:
                self.options = replace(self.options, budget_seconds=enough_for(self.families))
        if self.options.energy and not self.options.budget_given:
            cases = sum(len(family.cases) for family in self.families)
            self.options = replace(self.options, budget_seconds=self.options.budget_seconds + ENERGY_SECONDS * cases)
        if self.families and not self.selecting_only:
            compiled = any(case.mode in COMPILED for family in self.families for case in family.cases)
            self.conductor.start(compiler=compiled)

    def outcome(self, case: Case) -> Outcome:
        """The case's record, measuring its whole family at the first of its cases."""
        obstacle = unavailable(self.machine, case)
        if obstacle is not None:
            self.outcomes[case] = Skip(obstacle.why)
            return self.outcomes[case]
        try:
            if case not in self.outcomes:
                self._bring(self._family_of(case))
            if self.families and self.measured == len(self.families):
                self._end()
        except StoppedError:
            self.stopped = self.stopped or f"it was interrupted by {self.interruption.name}"
        return self.outcomes.get(case, Skip(f"not measured: {self.stopped}"))

    def reaches(self, case: Case) -> bool:
        """Whether there is an outcome of the case, or the run still goes on to it."""
        if self.interruption.asked() and not self.stopped:
            self.stopped = f"it was interrupted by {self.interruption.name}"
        return not self.stopped or case in self.outcomes

    def _family_of(self, case: Case) -> Family:
        if not self._family:
            self._family = {case: family for family in self.families for case in family.reported}
        return self._family[case]

    def _bring(self, family: Family) -> None:
        """Measure a family, and keep what came out."""
        if self.interruption.asked():
            raise StoppedError
        self.outcomes.put_away(self._asked_for, self.journal, self._written)
        self._asked_for, self._timed, self._written = family.reported, None, None
        outcomes = self._measure(family)
        self.outcomes.update(outcomes)
        if self._timed is not None:
            self._timed.outcomes = self.outcomes.of(family.reported)
        if self.journal is not None:
            self._written = self.write(family_entry(self, family, outcomes, self.learned[-1][1], self._timed))

    def _count_deaths(self, family: Family) -> None:
        """Several workloads in a row whose workers die: something is wrong with more than the workloads."""
        self._deaths.append(f"{family.reference.suite}.{family.reference.workload}")
        if len(set(self._deaths)) >= MOST_DEATHS:
            self.stopped = f"the workers of {MOST_DEATHS} workloads gave no answer one after the other"

    def _measure(self, family: Family) -> dict[Case, Outcome]:
        if self.budget is None:
            self.show("starting: importing torch and its compiler once for all workers")
            self._await_workers()
            self._start_budget(family)
        assert self.budget is not None
        planned = family
        family, hopeless = self.slowness.split(planned)
        skips: dict[Case, Outcome] = {case: Skip(reason) for case, reason in hopeless.items()}
        if not family.reported:
            self._done(planned, Spent())
            return skips
        seconds = LEAST_SECONDS if self.check_only else self.budget.allot(planned)
        if seconds is None:
            self._done(planned, Spent())
            return skips | dict.fromkeys(family.reported, Skip(self._too_short()))

        def listen(progress: Progress) -> None:
            if progress.fraction:
                self.watch.look()
            what = progress.what if family.name in progress.what else f"{family.name}: {progress.what}"
            percent = f" {progress.fraction:.0%}" if progress.fraction else ""
            self.show(f"{self._place()} {what}{percent} · {self._left()}")

        self.show(f"{self._place()} {family.name} · {self._left()}")
        if not self.check_only:
            self._pilots_before(family.name)
        started, awake = monotonic(), self.passing.awake
        began = awake()
        try:
            result = self.conductor.measure(self._task(family, seconds), listen)
        except WorkerError as error:
            self._done(planned, Spent(again=True))
            self._count_deaths(family)
            return skips | dict.fromkeys(family.reported, f"{family.name}: {error}")
        self._deaths.clear()
        interrupted = result.stop == INTERRUPTED
        if interrupted and any(one.blocks and len(one.blocks) < MIN_PLACEMENTS for one in result.results):
            raise StoppedError
        timing = result.seconds["timed"] + result.seconds["warming"]
        fixed, slow = awake() - began - timing, too_slow(result.results)
        self._done(planned, Spent(fixed, (seconds, timing), result.seconds, slow, again=interrupted))
        if self.check_only:
            found = {each.case: each for each in result.results}
            return {
                case: found[case].error or Skip(found[case].skip or "checked, not timed (--benchmark-disable)")
                for case in family.reported
            }
        made = records(family, result, workload_of(family.reference))
        self._hint_at_energy(made)
        self._timed = self.watch.note(started, result, made)
        return skips | made

    def _pilots_before(self, family: str, *, due: bool = False) -> None:
        """Time the pilots if they are due, and keep that."""
        before = len(self.watch.pilots)
        self.watch.pilots_before(family, due=due)
        for pilot in self.watch.pilots[before:]:
            self.write({"kind": "pilot", "pilot": pilot})

    def _hint_at_energy(self, made: dict[Case, Outcome]) -> None:
        """Say once for each reason why energies that were asked for are not known."""
        for record in (one for one in made.values() if isinstance(one, dict)):
            hint = f"energy on {record['case']['device']}: {record.get('energy', {}).get('why', '')}"
            if "why" in record.get("energy", {}) and hint not in self.hints:
                self.hints.append(hint)

    def _task(self, family: Family, seconds: float) -> Task:
        return Task(
            family,
            seconds,
            self.threads,
            most=math.inf if self.budget is None else self.budget.most(),
            check_only=self.check_only,
            data=self.options.data,
            cold=self.options.cold,
            energy=self.options.energy,
            headroom=self.options.headroom,
            uuids=self.machine.uuids(),
        )

    def _await_workers(self) -> None:
        """Wait until workers can be started, and make sure that they can use the devices."""
        seen = self.conductor.machine()
        wanted = dict.fromkeys(device_kind(device) for device in self.selection.devices())
        here = [kind for kind in wanted if kind in self.machine.devices()]
        # Something that the fork server imported may have initialised CUDA, which no fork of it can use then.
        lost = [kind for kind in here if kind not in seen.devices() or kind in self.machine.not_after_a_fork()]
        if lost:
            self.conductor.spawn_workers()
            named = ", ".join(kind.upper() for kind in lost)
            self.warnings.append(
                f"each worker imports torch anew, some seconds each: the fork server cannot use {named}"
            )

    def call_seconds(self) -> dict[str, float]:
        """Family's name → about how long one call takes, in seconds, of workloads that say so; else 0."""
        return {
            family.name: workload_of(family.reference).seconds_of(dict(family.reference.size))
            for family in self.families
        }

    def _start_budget(self, first: Family) -> None:
        extra = ENERGY_SECONDS if self.options.energy else 0.0
        began, (spent, set_aside) = self.elapsed(), self.spent or (0.0, 0.0)
        self.budget = Budget(
            self.options.budget_seconds,
            self.families,
            self.call_seconds(),
            extra,
            asked_for=self.options.budget_given,
            spent=spent,
            now=self.passing.awake,
        )
        for family, known in self.learned:
            self.budget.done(family, known.fixed, known.timing)
        if self.check_only:
            return
        self.timeline.start()
        if self.spent is not None:
            self._pilots_before(first.name, due=True)
        else:
            self.startup = began
            self._measure_ceilings()
            self._pilots_before(first.name)
            set_aside = self.elapsed() - began  # both are measured once more at the end
            self.write({"kind": "began", "at": began, "startup": began, "set_aside": set_aside})
        self.budget.set_aside(set_aside)

    def _end(self) -> None:
        """After the last family, once; profiles are not in the journal, and a resumed run makes them anew."""
        if not self.finished:
            self._finish()
            self.finished = True
            self.write({"kind": "end"})
        if self.profiling is not None and not self.check_only and "profiling" not in self.seconds:
            self._profile(self.profiling)

    def _finish(self) -> None:
        if not self.check_only:
            self._pilots_before("", due=True)
            self._measure_ceilings()

    def _profile(self, profiling: Profiling) -> None:
        """After all timing, so that it disturbs none."""
        made = {case: outcome for case, outcome in self.outcomes.items() if isinstance(outcome, dict)}
        begun = monotonic()
        self.warnings += profile_all(
            profiling, self.families, made, self.conductor, lambda family: self._task(family, LEAST_SECONDS), self.show
        )
        self.seconds["profiling"] = monotonic() - begun

    def _measure_ceilings(self) -> None:
        """What the machine can do at best, at the start and at the end: the load by others changes."""
        cases = [case for family in self.families for case in family.cases]
        self.show("measuring the machine's own ceilings")
        devices = sorted({case.device for case in cases})
        precisions = sorted({"fp32", *(case.precision for case in cases)})
        seconds = min(MOST_CEILING_SECONDS * len(devices), CEILING_SHARE * self.options.budget_seconds)
        try:
            measured = self.conductor.ceilings(devices, precisions, self.threads, seconds)
        except WorkerError as error:
            self.warnings.append(f"the machine's ceilings are not known: {error}")
        else:
            self.ceilings = highest([self.ceilings, measured])
            self.write({"kind": "ceilings", "ceilings": measured})

    def check_itself(self) -> list[str]:
        """``--aa``: keep the figures for later runs, and say them."""
        found = self._self_check()
        said = aa_summary.lines(found)
        try:
            aa_summary.keep(found)
        except OSError as error:
            said.append(f"warning: these figures are not kept for later runs: {error}")
        return said

    def _self_check(self) -> SelfCheckRecord:
        started = self.started.isoformat(timespec="seconds")
        return aa_summary.summary(self.records(), measured=started, machine=self.machine.facts(), threads=self.threads)

    def _last_self_check(self) -> SelfCheckRecord | None:
        if self.options.self_check:
            return self._self_check()
        try:
            return aa_summary.last(self.machine.facts(), self.threads)
        except ValueError as error:
            self.warnings.append(str(error))
            return None

    def run_record(self) -> RunRecord:
        """The run as it stands in the JSON; its cases' records get their noise."""
        made = run_record(self)
        checked = self._last_self_check()
        if checked is not None:
            made["self_check"] = checked
        return made


def samples(record: Record) -> list[float]:
    """What pytest-benchmark gets: the placements' block medians, seconds per call, in order."""
    return [median(rounds) for rounds in record["timing"]["blocks"]]
