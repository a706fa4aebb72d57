"""What a run knows: what it was asked for, what came out so far, and the journal that keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from torchduet.bench.cases.case import Family
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.run_clock import Passing
from torchduet.bench.host.signals import Interruption
from torchduet.bench.noise.monitor import Watch
from torchduet.bench.plan.budget import Budget
from torchduet.bench.plan.options import Options
from torchduet.bench.plan.selection import Selection
from torchduet.bench.plan.too_slow import Slowness
from torchduet.bench.record.journal import Entry, Journal, Place
from torchduet.bench.record.schema import CeilingRecord, Record, ResumedRecord
from torchduet.bench.record.units import duration
from torchduet.bench.run.outcomes import Outcomes
from torchduet.bench.run.profile_selection import Profiling
from torchduet.bench.run.records import Skip
from torchduet.bench.run.resume import Spent
from torchduet.bench.workers.launcher import Conductor
from torchduet.suites.workload import cores


@dataclass
class State:
    """What one ``pytest bench/`` was asked for, and what it has learned.

    Args:
        check_only: cases are checked and not timed (``--benchmark-disable``).
        selecting_only: nothing will be measured (``--collect-only``).
        claims_only: collect what claims need, of any tier (``-m claims``).
        data: the name of the data set that ``--data`` stands for.
        profiling: what ``--profile`` asks for.
        passing: whether its time passes as it should; the conductor's.
    """

    options: Options
    conductor: Conductor
    machine: Machine
    check_only: bool = False
    selecting_only: bool = False
    warnings: list[str] = field(default_factory=list)
    data: str | None = None
    claims_only: bool = False
    profiling: Profiling | None = None
    show: Callable[[str], None] = lambda _: None
    interruption: Interruption = field(default_factory=Interruption)
    passing: Passing = field(default_factory=Passing)

    resumable = True  # whether it keeps a journal

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self.begun = monotonic()
        self.startup = 0.0
        self.threads = self.options.threads or cores()
        self.outcomes = Outcomes()
        self.hints: list[str] = []  # about the selection; for the terminal
        self.families: list[Family] = []
        self.budget: Budget | None = None
        self.slowness = Slowness()
        self.seconds = dict.fromkeys(("compiling", "timed", "checking", "warming"), 0.0)
        self.ceilings: list[CeilingRecord] = []
        self.selection = Selection(self.options, self.machine, self.claims_only)
        used = self.machine.gpus_of(self.selection.devices())
        gpus = Gpus(list(used.values()))
        self.watch = Watch(self.conductor, self.threads, self.options.budget_seconds, self.warnings.append, gpus)
        self.timeline = Timeline(dict(zip(used, gpus.devices, strict=True)), gpus.why)
        self.journal: Journal | None = None
        self._done_by = (0.0, 0)  # seconds until the last family that is done, cases of all that are
        self.learned: list[tuple[Family, Spent]] = []  # of every family that is done, in a resumed run from before, too
        self.spent: tuple[float, float] | None = None  # seconds (of the budget, set aside) before it was resumed
        self.resumed: list[ResumedRecord] = []
        self.finished = False
        self.unwritten = False  # the JSON could not be written
        self.stopped = ""  # why the run ends early

    @property
    def measured(self) -> int:
        """Families that are done."""
        return len(self.learned)

    def elapsed(self) -> float:
        """Seconds into the run."""
        return monotonic() - self.begun

    def write(self, entry: Entry) -> Place | None:
        """Add an entry to the journal, if there is one; returns where it stands there."""
        if self.journal is None or self.journal.problem:
            return None
        place = self.journal.append({"at": self.elapsed(), **entry})
        if self.journal.problem:
            self.warnings.append(f"if this run is cut short it cannot be resumed: {self.journal.problem}")
        return place

    def _done(self, family: Family, spent: Spent) -> None:
        assert self.budget is not None
        self.budget.done(family, spent.fixed, spent.timing)
        self.learn(family, spent)
        self._note_progress()

    def learn(self, family: Family, spent: Spent) -> None:
        """A family is done, in this process or in the one that is gone on with."""
        self.learned.append((family, spent))
        self.slowness.known += spent.slow
        for stage, seconds in spent.stages.items():
            self.seconds[stage] += seconds

    def go_on_after(self, seconds: float) -> None:
        """So many seconds of the run are behind it, in which what it knows was measured."""
        self.begun = monotonic() - seconds
        self._note_progress()

    def _note_progress(self) -> None:
        self._done_by = self.elapsed() - self.startup, sum(len(family.cases) for family, _ in self.learned)

    def _place(self) -> str:
        return f"[{self.measured + 1}/{len(self.families)}]"

    def _too_short(self) -> str:
        return (
            f"what was left of the run's budget of {duration(self.options.budget_seconds)} was too short for it; "
            "raise --budget or select fewer cases with -k"
        )

    def _left(self) -> str:
        """What the cases ahead will take, if as long as those done; what the budget has left at the most."""
        assert self.budget is not None
        left = max(0.0, self.budget.seconds_left())
        until, cases = self._done_by
        if cases:
            done = {id(family) for family, _ in self.learned}
            ahead = [len(family.cases) for family in self.families if id(family) not in done]
            spent = self.elapsed() - self.startup - until  # on the first of these
            each = until / cases
            left = min(left, each * sum(ahead[1:]) + max(0.0, each * sum(ahead[:1]) - spent))
        return f"about {duration(left)} left"

    def records(self) -> list[Record]:
        """All records made so far."""
        return [outcome for outcome in self.outcomes.values() if isinstance(outcome, dict)]

    def skipped(self) -> dict[str, int]:
        """Why cases were skipped, and how many for each reason."""
        return dict(Counter(outcome.reason for outcome in self.outcomes.values() if isinstance(outcome, Skip)))
