"""Measures two sides: families screened one after the other, the suspicious confirmed at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any, cast

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.outcome import Failed, Measured, Outcome, Skipped
from torchduet.bench.duet import record as to_record
from torchduet.bench.duet.judge import SCREENING_PAIRS, confirmed, looks_different, pairs_worth_it, screened
from torchduet.bench.duet.pairs import BASE, Failure, Ledger
from torchduet.bench.duet.processes import Facts
from torchduet.bench.duet.profile import profile_both
from torchduet.bench.duet.stages import Duet, differences
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.plan.budget import TIER_BUDGET, Budget, Spent
from torchduet.bench.record.duet_words import LOOKED
from torchduet.bench.record.schema import AgainstRecord, DuetRecord, RunRecord
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.record.units import duration
from torchduet.bench.run.measuring import Measurement, Measuring
from torchduet.bench.run.profile_selection import Profiling
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import Launcher

BUDGET = {tier: 2 * seconds for tier, seconds in TIER_BUDGET.items()}  # two sides, two stages
MODES = ("eager",)  # unless asked for: every pair of processes has to compile or load what was compiled
SCREENING_SHARE = 0.6  # of the budget; what it leaves over goes to the second stage
LONG_CALLS = 4.0  # so many times as many as when one process measures
MAX_SCREENING_SECONDS = 1.5  # for a case's blocks, on both sides together
LETTERS = ("A", "B")


class DuetMeasuring(Measuring):
    """Measures the families of one ``pytest bench/ --against…``; records are side A's, with B held against it.

    Args:
        duet: both sides' processes.
    """

    resumable = False  # the second stage needs the pairs of the first, of both sides' processes

    def __init__(
        self, settings: Settings, conductor: Launcher, progress: Progress, passing: RunClock, duet: Duet
    ) -> None:
        super().__init__(settings, conductor, progress, passing)
        self.duet = duet
        self.ledgers: dict[Case, Ledger] = {}
        self.confirmed = 0
        self._facts: tuple[Facts, Facts] | None = None
        self._deadline = math.inf

    def plan(self, selected: Sequence[Case]) -> None:
        """Fix the families, of the selected cases alone, and start the interpreters of the first stage."""
        settings = self.settings
        self.progress.families = [
            Family(cases=family.reported, reported=family.reported) for family in settings.selection.families(selected)
        ]
        if self.progress.families and not settings.selecting_only and not settings.check_only:
            self.duet.start(SCREENING_PAIRS - 1)

    def measure(self, family: Family) -> Measurement:
        """Time a family on both sides, as far as the first stage's budget goes."""
        show, position = self.progress.show, self.progress.position
        if self.budget is None:
            show("starting: both sides import torch")
            self._begin()
        assert self.budget is not None
        show(f"{position()} {family.name} · {self.time_left()}")
        if self.settings.check_only:
            ledger = self.duet.check(family.cases)
            self.done(family, Spent())
            unchecked = Skipped("checked on both sides, not timed (--benchmark-disable)")
            return Measurement({case: self._failure(ledger, case) or unchecked for case in family.cases})
        seconds = self.budget.allot(family)
        if seconds is None:
            self.done(family, Spent())
            return Measurement(dict.fromkeys(family.cases, Skipped(self.out_of_budget())))
        seconds = min(seconds, MAX_SCREENING_SECONDS * len(family.cases))
        ledger = self.duet.screen(
            family.cases,
            seconds,
            lambda pair: show(f"{position()} {family.name}: pair {pair} of {SCREENING_PAIRS} · {self.time_left()}"),
        )
        timed = self._note(ledger)
        self.done(family, Spent(ledger.seconds - timed, (seconds, timed)))
        self.ledgers.update(dict.fromkeys(family.cases, ledger))
        workload, references = workload_of(family.reference), self.settings.selection.references
        return Measurement(
            {
                case: self._failure(ledger, case)
                or Measured(to_record.screened_record(ledger, case, workload, reference=case == references[case]))
                for case in family.cases
            }
        )

    def meet(self) -> None:
        """Wait until both interpreters have said what they are.

        Raises:
            SideError: one of them cannot be a side.
        """
        self._facts = self.duet.facts()

    def _begin(self) -> None:
        self.duet.await_servers()
        self.progress.startup = self.progress.elapsed()
        total = self.settings.options.budget_seconds
        self._deadline = monotonic() + total
        long_calls = {name: LONG_CALLS * seconds for name, seconds in self.call_seconds().items()}
        self.budget = Budget(total * SCREENING_SHARE, self.progress.families, long_calls)

    def _note(self, ledger: Ledger) -> float:
        """Add up where a ledger's time went; the seconds inside its blocks."""
        timed = sum(
            sum(turns) * ledger.paces[case].calls
            for case, pairs in ledger.blocks.items()
            for pair in pairs
            for turns in pair
        )
        self.progress.seconds["timed"] += timed
        self.progress.seconds["warming"] += ledger.seconds - timed
        return timed

    def _failure(self, ledger: Ledger, case: Case) -> Outcome | None:
        failure = ledger.failures.get(case)
        if failure is None:
            return None
        reason = self._words(failure)
        return Skipped(reason) if failure.skip else Failed(f"{case.id}: {reason}")

    def _words(self, failure: Failure) -> str:
        if failure.side is None:
            return failure.reason
        record = self.sides()
        side = record["base" if failure.side == BASE else "against"]
        return f"on side {LETTERS[failure.side]} ({side['label']}): {failure.reason}"

    def finish(self) -> None:
        """The second stage: what looks different is timed anew and judged by that alone."""
        if self.settings.check_only:
            return
        ledgers = self._chosen()
        if ledgers:
            self.duet.confirm(
                ledgers,
                self._deadline,
                lambda family, pair, pairs: self.progress.show(self._confirming_now(ledgers, family, pair + 1, pairs)),
            )
        for ledger in ledgers:
            self._note(ledger)
        self.duet.close_servers()
        self._judge(ledgers)

    def _confirming_now(self, ledgers: Sequence[Ledger], family: str, pair: int, pairs: int) -> str:
        cases = sum(len(ledger.live()) for ledger in ledgers)
        left = self._deadline - monotonic()
        if pair > pairs:
            until = f"at most {duration(max(0.0, left))} left, until intervals are narrow enough"
        elif left > 0:
            until = f"{duration(left)} of the budget left"
        else:
            until = f"beyond the budget, as no verdict rests on fewer than {pairs}"
        what = f"{cases} case{'s' if cases != 1 else ''} that looked different"
        of = f" of {pairs}" if pair <= pairs else ""
        return f"confirming {what}: pair {pair}{of}, {family} · {until}"

    def profile(self, profiling: Profiling) -> None:
        """After all timing, on both sides."""
        begun, progress = monotonic(), self.progress
        profiles, warnings = profile_both(
            self.duet, profiling, progress.families, progress.records(), self._words, progress.show
        )
        for case, (base, against) in profiles.items():
            progress.outcomes.amend(case, profile=base)
            self._amend(case, profile=against)
        progress.warnings += warnings
        self.duet.close_servers()
        progress.seconds["profiling"] = monotonic() - begun

    def _amend(self, case: Case, **changes: Any) -> None:
        """Put a record whose ``against`` has other values in the place of the one there is."""
        record = self.progress.records()[case]
        against = cast(AgainstRecord, {**record["against"], **changes})
        self.progress.outcomes[case] = Measured({**record, "against": against})

    def _chosen(self) -> list[Ledger]:
        """New ledgers for the cases to confirm, as many as the time is enough for, the surest first."""
        effects = {}
        for case in self.progress.records():
            if looks_different(found := differences(self.ledgers[case], case)):
                estimate = screened(found).estimate
                effects[case] = abs(math.log(estimate.ratio)) / max(estimate.half_width, 1e-6)
        wanted = sorted(effects, key=lambda case: -effects[case])
        chosen = list(wanted)
        left = self._deadline - monotonic()
        while len(chosen) > 1 and self._cost(chosen) > left:
            chosen.pop()
        for case in wanted[len(chosen) :]:
            self._amend(case, note=f"{LOOKED}{self.out_of_budget()}")
        return list(self._confirming(chosen))

    def _confirming(self, cases: Sequence[Case]) -> Iterator[Ledger]:
        ledgers = {id(self.ledgers[case]): self.ledgers[case] for case in cases}
        for ledger in ledgers.values():
            yield ledger.confirming([case for case in cases if self.ledgers[case] is ledger])

    def _cost(self, cases: Sequence[Case]) -> float:
        """Seconds that confirming takes."""
        before = {id(self.ledgers[case]): self.ledgers[case] for case in cases}
        preparing = sum(ledger.preparing() for ledger in before.values())
        pair = preparing + sum(ledger.timed(case) for ledger in self._confirming(cases) for case in ledger.cases)
        return pairs_worth_it(len(cases)) * (pair + self.duet.start_seconds)

    def _judge(self, ledgers: Sequence[Ledger]) -> None:
        fresh = {
            case: differences(ledger, case)
            for ledger in ledgers
            for case in ledger.cases
            if len(ledger.blocks.get(case, [])) >= MIN_PLACEMENTS
        }
        judged = confirmed(fresh)
        self.confirmed = len(judged)
        for ledger in ledgers:
            for case in ledger.cases:
                if case in judged:
                    record = self.progress.records()[case]
                    against: AgainstRecord = {
                        **to_record.against_record(ledger, case, judged[case], "confirmed"),
                        "screening": to_record.screening_record(record["against"]),
                    }
                    self.progress.outcomes[case] = Measured({**record, "against": against})
                elif case in ledger.failures:
                    why = self._words(ledger.failures[case])
                    self._amend(case, note=f"{LOOKED}failed when measured again: {why}")

    def sides(self) -> DuetRecord:
        """What the two sides are."""
        assert self._facts is not None
        return to_record.duet_record(self.duet.sides, self._facts, len(self.progress.records()), self.confirmed)

    def completed(self, record: RunRecord) -> RunRecord:
        """The run's record, with what the two sides are."""
        return record if self._facts is None else {**record, "against": self.sides()}
