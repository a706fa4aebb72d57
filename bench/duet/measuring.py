"""Measures two sides: screens the families one after the other, then confirms the cases that look different."""

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
from torchduet.bench.plan.budget import TIER_BUDGET, Budget, Spent, call_seconds
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
MODES = ("eager",)  # by default: every pair of processes would have to compile, or to load compiled code
SCREENING_SHARE = 0.6  # of the budget; the second stage gets the rest
LONG_CALLS = 4.0  # times as many long calls as when one process measures
MAX_SCREENING_SECONDS = 1.5  # for the blocks of a case, on both sides together
LETTERS = ("A", "B")


class DuetMeasuring(Measuring):
    """Measures the families of one ``pytest bench/ --against…``; records are those of side A, with B compared with it.

    Args:
        duet: the processes of both sides.
    """

    resumable = False  # the second stage needs the processes of the first

    def __init__(
        self, settings: Settings, launcher: Launcher, progress: Progress, run_clock: RunClock, duet: Duet
    ) -> None:
        super().__init__(settings, launcher, progress, run_clock)
        self.duet = duet
        self.ledgers: dict[Case, Ledger] = {}
        self.confirmed = 0
        self._facts: tuple[Facts, Facts] | None = None
        self._deadline = math.inf

    def plan(self, selected: Sequence[Case]) -> None:
        """Set the families, from the selected cases alone, and start the interpreters of the first stage."""
        settings = self.settings
        self.progress.families = [
            Family(cases=family.reported, reported=family.reported) for family in settings.selection.families(selected)
        ]
        if self.progress.families and not settings.selecting_only and not settings.check_only:
            self.duet.start(SCREENING_PAIRS - 1)

    def measure(self, family: Family) -> Measurement:
        """Time a family on both sides, within the budget of the first stage."""
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
        timed = self._add_seconds(ledger)
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

    def visit(self) -> None:
        """Make no visits: the pairs of a duet are its visits."""

    def meet(self) -> None:
        """Wait until both interpreters have reported their versions.

        Raises:
            SideError: one of them cannot be a side.
        """
        self._facts = self.duet.facts()

    def _begin(self) -> None:
        self.duet.await_servers()
        self.progress.startup = self.progress.elapsed()
        total = self.settings.options.budget_seconds
        self._deadline = monotonic() + total
        long_calls = {name: LONG_CALLS * seconds for name, seconds in call_seconds(self.progress.families).items()}
        self.budget = Budget(total * SCREENING_SHARE, self.progress.families, long_calls)

    def _add_seconds(self, ledger: Ledger) -> float:
        """Add the seconds of a ledger to those of the run; returns the seconds inside its blocks."""
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
        reason = self._reason(failure)
        return Skipped(reason) if failure.skip else Failed(f"{case.id}: {reason}")

    def _reason(self, failure: Failure) -> str:
        if failure.side is None:
            return failure.reason
        record = self.sides()
        side = record["base" if failure.side == BASE else "against"]
        return f"on side {LETTERS[failure.side]} ({side['label']}): {failure.reason}"

    def finish(self) -> None:
        """The second stage: cases that look different are timed again and judged by that alone."""
        if self.settings.check_only:
            return
        ledgers = self._to_confirm()
        if ledgers:
            self.duet.confirm(
                ledgers,
                self._deadline,
                lambda family, pair, pairs: self.progress.show(
                    self._confirmation_line(ledgers, family, pair + 1, pairs)
                ),
            )
        for ledger in ledgers:
            self._add_seconds(ledger)
        self.duet.close_servers()
        self._judge(ledgers)

    def _confirmation_line(self, ledgers: Sequence[Ledger], family: str, pair: int, pairs: int) -> str:
        cases = sum(len(ledger.live()) for ledger in ledgers)
        left = self._deadline - monotonic()
        if pair > pairs:
            until = f"at most {duration(max(0.0, left))} left, until intervals are narrow enough"
        elif left > 0:
            until = f"{duration(left)} of the budget left"
        else:
            until = f"beyond the budget, as a verdict needs at least {pairs} pairs"
        named = f"{cases} case{'s' if cases != 1 else ''} that looked different"
        total = f" of {pairs}" if pair <= pairs else ""
        return f"confirming {named}: pair {pair}{total}, {family} · {until}"

    def profile(self, profiling: Profiling) -> None:
        """Profile the selected cases on both sides, after all timing."""
        begun, progress = monotonic(), self.progress
        profiles, warnings = profile_both(
            self.duet, profiling, progress.families, progress.records(), self._reason, progress.show
        )
        for case, (base, against) in profiles.items():
            progress.outcomes.amend(case, profile=base)
            self._amend(case, profile=against)
        progress.warnings += warnings
        self.duet.close_servers()
        progress.seconds["profiling"] = monotonic() - begun

    def _amend(self, case: Case, **changes: Any) -> None:
        """Replace the record of a case by one whose ``against`` has these changes."""
        record = self.progress.records()[case]
        against = cast(AgainstRecord, {**record["against"], **changes})
        self.progress.outcomes[case] = Measured({**record, "against": against})

    def _to_confirm(self) -> list[Ledger]:
        """New ledgers for the cases to confirm: as many as the time suffices for, the surest first."""
        effects = {}
        for case in self.progress.records():
            if looks_different(pair_differences := differences(self.ledgers[case], case)):
                estimate = screened(pair_differences).estimate
                effects[case] = abs(math.log(estimate.ratio)) / max(estimate.half_width, 1e-6)
        candidates = sorted(effects, key=lambda case: -effects[case])
        affordable = list(candidates)
        left = self._deadline - monotonic()
        while len(affordable) > 1 and self._confirmation_seconds(affordable) > left:
            affordable.pop()
        for case in candidates[len(affordable) :]:
            self._amend(case, note=f"{LOOKED}{self.out_of_budget()}")
        return list(self._confirmation_ledgers(affordable))

    def _confirmation_ledgers(self, cases: Sequence[Case]) -> Iterator[Ledger]:
        ledgers = {id(self.ledgers[case]): self.ledgers[case] for case in cases}
        for ledger in ledgers.values():
            yield ledger.for_confirmation([case for case in cases if self.ledgers[case] is ledger])

    def _confirmation_seconds(self, cases: Sequence[Case]) -> float:
        """Seconds that it takes to confirm these cases."""
        screening = {id(self.ledgers[case]): self.ledgers[case] for case in cases}
        preparation = sum(ledger.preparation_seconds() for ledger in screening.values())
        ledgers = self._confirmation_ledgers(cases)
        blocks = sum(ledger.block_seconds(case) for ledger in ledgers for case in ledger.cases)
        return pairs_worth_it(len(cases)) * (preparation + blocks + self.duet.start_seconds)

    def _judge(self, ledgers: Sequence[Ledger]) -> None:
        fresh = {
            case: differences(ledger, case)
            for ledger in ledgers
            for case in ledger.cases
            if len(ledger.blocks.get(case, [])) >= MIN_PLACEMENTS
        }
        judgements = confirmed(fresh)
        self.confirmed = len(judgements)
        for ledger in ledgers:
            for case in ledger.cases:
                if case in judgements:
                    record = self.progress.records()[case]
                    against: AgainstRecord = {
                        **to_record.against_record(ledger, case, judgements[case], "confirmed"),
                        "screening": to_record.screening_record(record["against"]),
                    }
                    self.progress.outcomes[case] = Measured({**record, "against": against})
                elif case in ledger.failures:
                    why = self._reason(ledger.failures[case])
                    self._amend(case, note=f"{LOOKED}failed when measured again: {why}")

    def sides(self) -> DuetRecord:
        """The record of the two sides."""
        assert self._facts is not None
        return to_record.duet_record(self.duet.sides, self._facts, len(self.progress.records()), self.confirmed)

    def completed(self, record: RunRecord) -> RunRecord:
        """The record of the run, with that of the two sides."""
        return record if self._facts is None else {**record, "against": self.sides()}
