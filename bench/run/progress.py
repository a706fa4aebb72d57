"""The progress of a run: its outcomes so far, what finished families cost, and the journal that keeps both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Measured, Skipped
from torchduet.bench.plan.budget import Spent
from torchduet.bench.plan.too_slow import TooSlow
from torchduet.bench.record.journal import Journal, Span
from torchduet.bench.record.journal_events import AnyEvent, entry_of
from torchduet.bench.record.run_record import STAGES
from torchduet.bench.record.schema import CeilingRecord, Record, ResumedRecord
from torchduet.bench.run.outcomes import Outcomes

MAX_DEATHS = 3  # workers of as many workloads in a row that give no answer, until the run ends early


@dataclass
class Progress:
    """The state of a run so far.

    Attributes:
        warnings: for the record and the terminal.
        hints: about the selection; for the terminal.
        show: draws the progress line.
        begun: seconds of the monotonic clock.
        startup: seconds until the first worker was ready.
        finished_families: every finished family with its cost, including those before the run was resumed.
        too_slow: the cases that were too slow so far.
        seconds: where the time went, by stage.
        spent_before: seconds (of the budget, set aside) before the run was resumed; None: it was not.
        finished: all families are measured, and what comes after the last of them.
        unwritten: the JSON could not be written.
        stopped: why the run ends early, "" while it does not.
        killed_before: names of the families of which a process was killed before the run was resumed.
        deaths: workloads in a row whose workers gave no answer.
        shard_plan: what the run's shard was cut from, as a digest; empty without ``--shard``.
        shard_part: the part of a tier's default budget that the shard gets.
    """

    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    show: Callable[[str], None] = lambda _: None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=lambda: monotonic())
    startup: float = 0.0
    families: list[Family] = field(default_factory=list)
    outcomes: Outcomes = field(default_factory=Outcomes)
    finished_families: list[tuple[Family, Spent]] = field(default_factory=list)
    too_slow: TooSlow = field(default_factory=TooSlow)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    ceilings: list[CeilingRecord] = field(default_factory=list)
    journal: Journal | None = None
    spent_before: tuple[float, float] | None = None
    resumed: list[ResumedRecord] = field(default_factory=list)
    finished: bool = False
    unwritten: bool = False
    stopped: str = ""
    killed_before: frozenset[str] = frozenset()
    deaths: list[str] = field(default_factory=list)
    shard_plan: str = ""
    shard_part: float = 1.0

    @property
    def measured(self) -> int:
        """The number of finished families."""
        return len(self.finished_families)

    def has_finished(self, family: Family) -> bool:
        """Whether a family has had its first visit."""
        return any(finished is family for finished, _ in self.finished_families)

    def count_death(self, family: Family) -> None:
        """End the run early if the workers of several workloads in a row die: the workloads are not the reason then.

        Those that died before the run was resumed do not count: one after the other now, they would always end it.
        """
        if family.name in self.killed_before:
            return
        self.deaths.append(f"{family.reference.suite}.{family.reference.workload}")
        if len(set(self.deaths)) >= MAX_DEATHS:
            self.stopped = f"the workers of {MAX_DEATHS} workloads in a row gave no answer"

    def elapsed(self) -> float:
        """Seconds into the run."""
        return monotonic() - self.begun

    def write(self, event: AnyEvent) -> Span | None:
        """Add an event to the journal, if there is one; returns its position there."""
        if self.journal is None or self.journal.problem:
            return None
        span = self.journal.append(entry_of(event))
        if self.journal.problem:
            self.warnings.append(f"if this run ends early it cannot be resumed: {self.journal.problem}")
        return span

    def add_finished(self, family: Family, spent: Spent) -> None:
        """Account for a finished family of this process, or of the one whose run is resumed."""
        self.finished_families.append((family, spent))
        self.too_slow.cases += spent.slow
        for stage, seconds in spent.stages.items():
            self.seconds[stage] += seconds

    def continue_after(self, seconds: float) -> None:
        """Continue a run that took so many seconds until now."""
        self.begun = monotonic() - seconds

    def position(self) -> str:
        """The current family's number among all: ``[3/17]``."""
        return f"[{self.measured + 1}/{len(self.families)}]"

    def records(self) -> dict[Case, Record]:
        """Every record as it was measured, without its noise."""
        return {case: outcome.record for case, outcome in self.outcomes.items() if isinstance(outcome, Measured)}

    def skipped(self) -> dict[str, int]:
        """Reason → the number of cases that were skipped for it."""
        return dict(Counter(outcome.reason for outcome in self.outcomes.values() if isinstance(outcome, Skipped)))
