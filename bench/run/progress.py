"""How far a run is: what came out so far, what was learned from it, and the journal that keeps both."""

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
from torchduet.bench.record.journal import Journal, Place
from torchduet.bench.record.journal_events import AnyEvent, entry_of
from torchduet.bench.record.run_record import STAGES
from torchduet.bench.record.schema import CeilingRecord, Record, ResumedRecord
from torchduet.bench.record.units import duration
from torchduet.bench.run.outcomes import Outcomes


@dataclass
class Progress:
    """What is known of a run by now.

    Attributes:
        warnings: for the record and the terminal.
        hints: about the selection; for the terminal.
        show: draws the progress line.
        begun: seconds of the monotonic clock.
        startup: seconds until the first worker was ready.
        learned: every family that is done, in a resumed run from before, too.
        seconds: where the time went, by stage.
        spent: seconds (of the budget, set aside) before the run was resumed; None: it was not.
        unwritten: the JSON could not be written.
        stopped: why the run ends early, "" while it does not.
    """

    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    show: Callable[[str], None] = lambda _: None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=lambda: monotonic())
    startup: float = 0.0
    families: list[Family] = field(default_factory=list)
    outcomes: Outcomes = field(default_factory=Outcomes)
    learned: list[tuple[Family, Spent]] = field(default_factory=list)
    slowness: TooSlow = field(default_factory=TooSlow)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    ceilings: list[CeilingRecord] = field(default_factory=list)
    journal: Journal | None = None
    spent: tuple[float, float] | None = None
    resumed: list[ResumedRecord] = field(default_factory=list)
    finished: bool = False
    unwritten: bool = False
    stopped: str = ""
    _done_by: tuple[float, int] = (0.0, 0)  # seconds until the last family that is done, cases of all that are

    @property
    def measured(self) -> int:
        """Families that are done."""
        return len(self.learned)

    def elapsed(self) -> float:
        """Seconds into the run."""
        return monotonic() - self.begun

    def write(self, event: AnyEvent) -> Place | None:
        """Add an event to the journal, if there is one; returns where it stands there."""
        if self.journal is None or self.journal.problem:
            return None
        place = self.journal.append(entry_of(event))
        if self.journal.problem:
            self.warnings.append(f"if this run is cut short it cannot be resumed: {self.journal.problem}")
        return place

    def done(self, family: Family, spent: Spent) -> None:
        """A family is done just now."""
        self.learn(family, spent)
        self._note()

    def learn(self, family: Family, spent: Spent) -> None:
        """A family is done, in this process or in the one that is gone on with."""
        self.learned.append((family, spent))
        self.slowness.known += spent.slow
        for stage, seconds in spent.stages.items():
            self.seconds[stage] += seconds

    def go_on_after(self, seconds: float) -> None:
        """So many seconds of the run are behind it, in which what it knows was measured."""
        self.begun = monotonic() - seconds
        self._note()

    def _note(self) -> None:
        self._done_by = self.elapsed() - self.startup, sum(len(family.cases) for family, _ in self.learned)

    def place(self) -> str:
        """The family that is measured now among all: ``[3/17]``."""
        return f"[{self.measured + 1}/{len(self.families)}]"

    def left(self, budget: float) -> str:
        """What the cases ahead will take, if as long as those done; what the budget has left (seconds) at the most."""
        left = max(0.0, budget)
        until, cases = self._done_by
        if cases:
            done = {id(family) for family, _ in self.learned}
            ahead = [len(family.cases) for family in self.families if id(family) not in done]
            spent = self.elapsed() - self.startup - until  # on the first of these
            each = until / cases
            left = min(left, each * sum(ahead[1:]) + max(0.0, each * sum(ahead[:1]) - spent))
        return f"about {duration(left)} left"

    def records(self) -> dict[Case, Record]:
        """Every record as it was measured: without its noise."""
        return {case: one.record for case, one in self.outcomes.items() if isinstance(one, Measured)}

    def skipped(self) -> dict[str, int]:
        """Why cases were skipped, and how many for each reason."""
        return dict(Counter(one.reason for one in self.outcomes.values() if isinstance(one, Skipped)))
