"""Measures families whose functions belong to the calling program, within seconds instead of minutes."""

from __future__ import annotations

import math
from dataclasses import replace

from torchduet.bench.cases.case import Family
from torchduet.bench.cases.exchange import Task
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.library.launcher import CallerLauncher
from torchduet.bench.plan.budget import MIN_SECONDS, Budget, call_seconds
from torchduet.bench.plan.visits import BESIDE
from torchduet.bench.record.journal_events import Began
from torchduet.bench.record.schema import STARTING
from torchduet.bench.run.interpreters import Interpreters
from torchduet.bench.run.later_visits import LaterVisit
from torchduet.bench.run.measuring import Measurement, Measuring
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.servers import COMPILER
from torchduet.bench.workers.vector_probe import probe
from torchduet.suites.workload import COMPILED

MIN_FOR_MORE_INTERPRETERS = 30.0  # seconds of a budget: in less, one fork server is all
# Many short visits: one disturbed visit among ten is trimmed, among five it decides the width. Few placements with many
# rounds each: on a busy host a block of one call scatters by 15 to 30 %, with a long tail, which a median of ten bears.
SHORTEST_VISIT, PLACEMENTS = 0.13, 3
SURE_VISITS = 5  # from which on no verdict with one thread is withheld
MAX_WAIT_SECONDS, MAX_COMPILER_SECONDS = 6.0, 20.0  # for the first fork server, and the first with the compiler
SECONDS_FOR_VISITS, SHARE_FOR_VISITS = 1.5, 0.5  # after that wait, as many are left: it may take more than the budget


class NoMoreInterpreters(Interpreters):
    """For a comparison of some seconds: a second interpreter would disturb most of it, and stay."""

    def grow(self, seconds_left: float, *, later: bool = False) -> None:
        """Start none."""
        del seconds_left, later


class EqualBudget(Budget):
    """A budget that every family gets an equal part of; none is left out."""

    def allot(self, family: Family) -> float | None:
        """Seconds for timing a family in all of its visits."""
        del family
        return self._seconds / max(1, len(self._families))

    def in_turns_first(self, family: Family) -> list[Family]:
        """None: families are measured in the order in which they were given."""
        del family
        return []

    def max_seconds(self) -> float:
        """Unlimited: what takes long was asked for."""
        return math.inf


class CallerMeasuring(Measuring):
    """Measures without pilots, ceilings and profiles; compiling and starting are beyond its budget.

    What starts are processes, and accelerators in the first of them.
    """

    shortest_visit = SHORTEST_VISIT

    def __init__(self, settings: Settings, launcher: CallerLauncher, progress: Progress, run_clock: RunClock) -> None:
        super().__init__(settings, launcher, progress, run_clock)  # type: ignore[arg-type]
        self.caller = launcher
        self.monitor.sure_visits = SURE_VISITS
        if settings.options.budget_seconds < MIN_FOR_MORE_INTERPRETERS:
            self._interpreters = NoMoreInterpreters(launcher.servers, settings.threads, progress)

    def measure(self, family: Family) -> Measurement:
        """Measure a family after :meth:`before`; its compilation and the start of its devices are beyond the budget.

        Raises:
            EndedEarlyError: the run is to end, and too little of the family was timed.
        """
        assert self.budget is not None
        before = self._beyond()
        measurement = super().measure(family)
        self.budget.set_aside(before - self._beyond())
        return measurement

    def _beyond(self) -> float:
        """Seconds so far that are beyond the budget."""
        return sum(self.progress.seconds[stage] for stage in ("compiling", STARTING))

    def task_of(self, family: Family, seconds: float = MIN_SECONDS) -> Task:
        """What a worker does of a family: no case of a program's own is too slow."""
        return replace(super().task_of(family, seconds), patient=True, placements=PLACEMENTS)

    def visit(self) -> LaterVisit | None:
        """Visit a family again, as soon as the first fork server is ready.

        Raises:
            EndedEarlyError: the run is to end.
        """
        servers, budget = self.launcher.servers, self.budget
        self.caller.add_able()
        self._leave_room()
        if not self.caller.alone and budget is not None and len(servers) and not servers.has_ready():
            self.progress.show("waiting for a fresh process")
            heavy = servers.needs == COMPILER or bool(servers.needs_modules)
            servers.wait_for_one(MAX_COMPILER_SECONDS if heavy else MAX_WAIT_SECONDS)
            kept = min(SECONDS_FOR_VISITS, SHARE_FOR_VISITS * self.settings.options.budget_seconds)
            budget.set_aside(min(0.0, budget.seconds_left() - kept))
            for of in self.visiting.families.values():
                of.visited.beside = BESIDE  # visits before had to import what this server has
        return super().visit()

    def _leave_room(self) -> None:
        """Let every family have a second visit, even if calls take so long that the first has used up the budget."""
        lone = [
            of.visited for of in self.visiting.families.values() if of.visited.number == 1 and not of.visited.failed
        ]
        if self.budget is not None and lone:
            self.budget.set_aside(min(0.0, self.budget.seconds_left() - 2 * max(each.cost for each in lone)))

    def _begin(self) -> None:
        options, progress = self.settings.options, self.progress
        progress.startup = progress.elapsed()
        if any(case.mode in COMPILED for family in progress.families for case in family.cases):
            progress.show("importing the compiler")
            probe()  # a step common to all compilations, which no case is to blame for
        self.budget = EqualBudget(
            options.budget_seconds,
            progress.families,
            call_seconds(progress.families),
            now=self.run_clock.awake,
        )
        self.timeline.start(polls=False)  # it would delay the calls that this very process times
        progress.write(Began(at=progress.startup, startup=progress.startup, set_aside=0.0))

    def _pilots_before(self, family: str, *, due: bool = False) -> None:
        """Time no pilots: comparisons within a run need none, and they would take a third of its time."""
        del family, due
        self.monitor.begin_sampling()

    def _measure_ceilings(self) -> None:
        """Measure no ceilings."""
