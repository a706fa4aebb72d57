"""Measures two sides: a first pair of processes for every family, then further pairs where they decide most."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Failed, Measured, Outcome, Skipped
from torchduet.bench.duet import record as to_record
from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.pairs import Failure, Ledger, PairError
from torchduet.bench.duet.pool import MAX_LIVE
from torchduet.bench.duet.processes import Facts, SideError
from torchduet.bench.duet.profile import profile_both
from torchduet.bench.duet.visiting import DuetVisiting, PairedFamily
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.plan.budget import TIER_BUDGET, Budget, Spent, call_seconds
from torchduet.bench.record.journal_events import Began
from torchduet.bench.record.schema import AgainstRecord, DuetRecord, RunRecord
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.bench.run.later_visits import LaterVisit
from torchduet.bench.run.machine_facts import gpus_of
from torchduet.bench.run.measuring import Measurement, Measuring
from torchduet.bench.run.profile_selection import Profiling
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import EndedEarlyError, Launcher
from torchduet.suites.cpus import usable_cpus

BUDGET = {tier: 2 * seconds for tier, seconds in TIER_BUDGET.items()}  # two sides
MODES = ("eager",)  # by default: every pair of processes would have to compile, or to load compiled code
LONG_CALLS = 4.0  # times as many long calls as when one process measures
SIDES = ("named side", "own side")  # the one that --against… names, and this interpreter


class DuetMeasuring(Measuring):
    """Measures the families of one ``pytest bench/ --against…``; records are those of side A, with B compared with it.

    Args:
        duet: the processes of both sides.
        threshold: a change must exceed this to matter.

    Attributes:
        imported: module of the user's repository → its file, on both sides of a duet against a revision.
        controls: cases that a change cannot reach.
    """

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        progress: Progress,
        run_clock: RunClock,
        duet: Duet,
        threshold: float = THRESHOLD,
    ) -> None:
        super().__init__(settings, launcher, progress, run_clock)
        self.duet, self._threshold = duet, threshold
        self.imported: tuple[dict[str, str], dict[str, str]] | None = None
        self.controls: frozenset[Case] = frozenset()
        self.pairs = DuetVisiting(self.visiting.machine, duet.starting, threshold)
        self.visiting = self.pairs
        self.monitor.pilot_timer = duet
        self._facts: tuple[Facts, Facts] | None = None
        self._share = 0.0  # seconds for all pairs of a case

    def plan(self, selected: Sequence[Case]) -> None:
        """Set the families, from the selected cases alone."""
        self.settings = self.settings.with_part(self.progress.shard_part)
        self.progress.families = [
            Family(cases=family.reported, reported=family.reported)
            for family in self.settings.selection.families(selected)
        ]
        self.monitor.piloted = gpus_of(self.settings.machine, self.progress.families)
        if self.progress.families and not self.settings.selecting_only and not self.settings.check_only:
            for _ in range(min(MAX_LIVE, len(usable_cpus()) // 2) - 1):  # as many as there are cores to import torch
                self.duet.pool.start()

    def meet(self) -> None:
        """Wait until both interpreters have reported their versions.

        Raises:
            SideError: one of them cannot be a side.
        """
        self._facts = self.duet.facts()

    def _begin(self) -> None:
        """Start the budget; called once, before the first pair."""
        progress, total = self.progress, self.settings.options.budget_seconds
        spent, _ = progress.spent_before or (0.0, 0.0)
        self._share = total / max(1, sum(len(family.cases) for family in progress.families))
        long_calls = {name: LONG_CALLS * seconds for name, seconds in call_seconds(progress.families).items()}
        asked_for = self.settings.options.budget_given
        self.budget = Budget(
            total, progress.families, long_calls, asked_for=asked_for, spent=spent, now=self.run_clock.awake
        )
        for family, cost in progress.finished_families:
            self.budget.done(family, cost.fixed, measured=cost.timing is not None, starting=cost.starting)
        if self.settings.check_only:
            return
        self.timeline.start()
        began, set_aside = progress.elapsed(), 0.0
        first = next((family.name for family in progress.families if not progress.has_finished(family)), "")
        self._pilots_before(first, due=progress.spent_before is not None)
        if progress.spent_before is None:
            progress.startup, set_aside = began, progress.elapsed() - began  # the pilots are timed again at the end
            progress.write(Began(at=began, startup=began, set_aside=set_aside))
        else:
            _, set_aside = progress.spent_before
        self.budget.set_aside(set_aside)

    def measure(self, family: Family) -> Measurement:
        """Take a family's first pair, within the budget.

        Raises:
            EndedEarlyError: the run is to end.
        """
        assert self.budget is not None
        progress = self.progress
        progress.show(f"{progress.position()} {family.name} · {self.time_left()}")
        if self.settings.check_only:
            ledger = self.duet.check(family.cases)
            self.done(family, Spent())
            unchecked = Skipped("checked on both sides, not timed (--benchmark-disable)")
            return Measurement({case: self._failure(ledger, case) or unchecked for case in family.cases})
        allotted = self.budget.allot(family)
        if allotted is None:
            self.done(family, Spent())
            return Measurement(dict.fromkeys(family.cases, Skipped(self.out_of_budget())))
        self._pilots_before(family.name)
        started, at, began = monotonic(), progress.elapsed(), self.run_clock.awake()
        share = max(allotted, self._share * len(family.cases))
        ledger, taken = self.duet.first(family.cases, share, self._may_go_on)
        took = self.run_clock.awake() - began
        beside = max(0.0, took - taken.seconds)
        died = not taken.blocks and not all(failure.skip for failure in ledger.failures.values())
        self.done(family, Spent(beside, (share, taken.seconds), dict(taken.stages), retry=died))
        records = to_record.first_records(
            family, ledger, taken, at, self.settings.selection.references, self._threshold, self.controls
        )
        outcomes = {case: self._failure(ledger, case) or records[case] for case in family.cases}
        measured = [outcome.record for outcome in outcomes.values() if isinstance(outcome, Measured)]
        self.pairs.add_ledger(family, ledger, at, measured, share)
        return Measurement(outcomes, self.monitor.add_family(started, to_record.family_result(ledger, taken)))

    def visit(self) -> LaterVisit | None:
        """Take the pair that decides most for what it costs; None where no pair is left, or no time for one.

        Raises:
            EndedEarlyError: the run is to end.
        """
        if self.budget is None:  # every family was measured before the run was resumed
            self._begin()
        assert self.budget is not None
        while (of := self.pairs.next_family(self.budget.seconds_left())) is not None:
            name, number = of.family.name, of.visited.number + 1
            self._pilots_before(name)
            unclear, cases = self.pairs.unclear()
            self.progress.show(f"{name}, pair {number} · {unclear} of {cases} cases not settled · {self.time_left()}")
            try:
                return self._pair(of)
            except PairError as error:
                of.visited.failed = self._reason(Failure(error.side, f"the worker {error}"))
                self.progress.warnings.append(f"{name}: pair {number} failed, so it gets no more: {of.visited.failed}")
            except SideError as error:
                self.progress.warnings.append(f"no more pairs: {error}")
                return None
        return None

    def _pair(self, of: PairedFamily) -> LaterVisit:
        name, ledger = of.family.name, of.ledger
        failed, waits = set(ledger.failures), self.duet.starting(name)
        started, at, began = monotonic(), self.progress.elapsed(), self.run_clock.awake()
        taken = self.duet.later(ledger, self._may_go_on)
        took = self.run_clock.awake() - began
        for case in ledger.failures.keys() - failed:
            why = self._reason(ledger.failures[case])
            self.progress.warnings.append(f"{case.id}: pair {ledger.pairs} failed, so it gets no more: {why}")
        entries = to_record.entries_of(taken)
        for stage, seconds in taken.stages.items():
            self.progress.seconds[stage] += seconds
        beside = max(0.0, took - of.visited.timing - (self.duet.pool.start_seconds if waits else 0.0))
        self.pairs.add_pair(name, {case.id: entry for case, entry in entries.items()}, at, beside)
        timed = self.monitor.add_family(started, to_record.family_result(ledger, taken))
        return LaterVisit(name, at, took, of.visited.timing, entries, dict(taken.stages), timed)

    def _may_go_on(self) -> None:
        """Called before each placement.

        Raises:
            EndedEarlyError: the run is to end.
        """
        self.monitor.sample_gpus()
        if self.launcher.stop_requested():
            raise EndedEarlyError

    def _failure(self, ledger: Ledger, case: Case) -> Outcome | None:
        failure = ledger.failures.get(case)
        if failure is None:
            return None
        reason = self._reason(failure)
        return Skipped(reason) if failure.skip else Failed(f"{case.id}: {reason}")

    def _reason(self, failure: Failure) -> str:
        if failure.side is None:
            return failure.reason
        assert self._facts is not None
        label = to_record.labels(self.duet.sides, self._facts)[failure.side]
        return f"on the side of {label}: {failure.reason}"

    def finish(self) -> None:
        """Time the last pilots, and end the interpreters; called once."""
        if not self.settings.check_only:
            self._pilots_before("", due=True)
        if self.settings.profiling is None:
            self.duet.pool.close()

    def profile(self, profiling: Profiling) -> None:
        """Profile the selected cases on both sides, after all timing."""
        begun, progress = monotonic(), self.progress
        profiles, warnings = profile_both(
            self.duet, profiling, progress.families, progress.records(), self._reason, progress.show
        )
        for case, (base, against) in profiles.items():
            progress.outcomes.amend(case, profile=base)
            record = progress.records()[case]
            of_b = cast(AgainstRecord, {**record["against"], "profile": against})
            progress.outcomes[case] = Measured({**record, "against": of_b})
        progress.warnings += warnings
        self.duet.pool.close()
        progress.seconds["profiling"] = monotonic() - begun

    def identity(self) -> dict[str, dict[str, Any]]:
        """What must be equal for another process to continue this duet: both sides, and what they run."""
        assert self._facts is not None
        return {
            which: {
                "python": facts.executable,
                "python_version": facts.python,
                "torch": facts.torch,
                "cuda": facts.cuda,
                "env": [f"{name}={value}" for name, value in (*side.env, *side.settings)],
                "rev": side.commit,
                "uncommitted files": side.state,
            }
            for which, side, facts in zip(SIDES, self.duet.sides, self._facts, strict=True)
        }

    def sides(self) -> DuetRecord:
        """The record of the two sides."""
        assert self._facts is not None
        return to_record.duet_record(
            self.duet.sides,
            self._facts,
            list(self.progress.records().values()),
            threshold=self._threshold,
            imported=self.imported or (None, None),
        )

    def completed(self, record: RunRecord) -> RunRecord:
        """The record of the run, with that of the two sides."""
        return record if self._facts is None else {**record, "against": self.sides()}
