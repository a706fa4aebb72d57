"""What the stages of a family do with its cases that run in several processes."""

from __future__ import annotations

import random
import traceback
from collections.abc import Sequence
from typing import cast

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import Task
from torchduet.bench.host.suspension import awake
from torchduet.bench.passes.alone import least_seconds, time_alone
from torchduet.bench.ranks.failures import RanksError, RanksFailedError
from torchduet.bench.ranks.ranked import Ranked
from torchduet.bench.ranks.ranked_case import RankedCase
from torchduet.bench.timing.failures import describe
from torchduet.bench.timing.first_calls import FirstCalls, Report
from torchduet.bench.timing.pacing import (
    AIM_PLACEMENTS,
    BESIDE_OTHERS,
    FEW_PLACEMENTS,
    LONG_PLACEMENT_SECONDS,
    Plan,
    set_pace,
)
from torchduet.bench.timing.slowed.copies import slow_down
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.left_running import left_running
from torchduet.bench.workers.messages import STOP_REQUESTED

ALONE_SHARE = 0.15  # of the family's time for the control
MOST_ALONE = 2.0  # of the family's time: where calls are so long that the control takes more, it is left out


class WithRanks(FirstCalls):
    """The first calls of a family, of which some cases may run in several processes.

    A rank that dies, does not answer or fails alone costs the family: nothing of it can be compared any more.
    """

    def __init__(self, task: Task, report: Report, seed: str = "") -> None:
        super().__init__(task, report, seed)
        self.decided: bool | None = None  # inputs are put back before every call, in all processes
        self.ranked = Ranked(task, self.workload, self.results, seed or self.family.name)

    def comparisons(self, runs: Sequence[TimedCase]) -> list[tuple[int, int]]:
        """Pairs of indices into ``runs``: (the case to compare with, the case)."""
        index = {run.prepared.case: position for position, run in enumerate(runs)}
        return [
            (index[baseline], index[case])
            for case in index
            for _, baseline in self.family.comparisons(case)
            if baseline in index
        ]

    def prepare_ranks(self, cases: Sequence[Case]) -> None:
        """Take the first calls of these cases in their ranks."""
        self.ranked.prepare(cases, self.report)
        self.fail_if_lost()
        self.runs += [run for run in self.ranked.runs if run.prepared.case in cases]
        for run in self.runs:
            run.pattern = BESIDE_OTHERS

    def decide(self) -> None:
        """After the warm-up, decide where inputs can be put back before every call, in all processes alike."""
        self.inputs.decide(self.runs, self.results)
        if not self.ranked.runs or self.ranked.lost:
            return
        try:
            self.decided = self.ranked.decide(self.inputs.restores())
        except (RanksError, RanksFailedError) as error:
            self._fail_in_ranks(error)
            return
        if self.decided is not None:
            self.inputs.agree(self.decided)

    def restores(self) -> bool | None:
        """Whether inputs are put back before every call, in all processes; None where no call changes any."""
        return self.decided if self.ranked.runs else self.inputs.restores()

    def agree(self, *, active: bool) -> None:
        """Put inputs back before every call, or not, as another side does that is timed in alternation."""
        self.inputs.agree(active)
        if self.ranked.runs and not self.ranked.lost:
            try:
                self.ranked.agree(active=active)
            except (RanksError, RanksFailedError) as error:
                self._fail_in_ranks(error)

    def _fail_in_ranks(self, error: Exception) -> None:
        for run in self.ranked.runs:
            run.error = run.error or self.reason_in_ranks(error)

    def pace(self, runs: Sequence[TimedCase], seconds: float) -> Plan:
        """Set the pace of these cases."""
        for run in self.ranked.runs:
            run.times.clear()
            run.keeping = True
        if self.ranked.runs:
            return set_pace(runs, seconds, self.task.placements or FEW_PLACEMENTS, LONG_PLACEMENT_SECONDS)
        return set_pace(runs, seconds, self.task.placements or AIM_PLACEMENTS)

    def move_ranks(self) -> None:
        """Move the inputs of all ranks to fresh memory."""
        if not self.ranked.runs or self.ranked.lost:
            return
        try:
            self.ranked.fresh()
        except (RanksError, RanksFailedError) as error:
            for run in self.ranked.runs:
                run.error = run.error or f"no room for fresh inputs: {self.reason_in_ranks(error)}"

    def reason_in_ranks(self, error: Exception) -> str:
        """Why a case failed in its ranks; a pool that is no longer in step is lost."""
        if isinstance(error, RanksError):
            self.ranked.lose(error)
        return describe(error, self.family.reference.source)

    def slow_down(self, run: TimedCase, original: TimedCase) -> None:
        """Make a slowed copy."""
        if isinstance(run, RankedCase):
            self.ranked.slow_down(run, cast(RankedCase, original))
        else:
            slow_down(run, original)

    def time_alone(self) -> None:
        """Time each case in segments of its own, as a control: alternating might change what it is timed with.

        Not where that would take longer than the family may.
        """
        for run in self.ranked.runs:
            run.keeping = False
        able = [run for run in self.runs if run.error is None and run.placements and run.prepared.case.slowdown == 1]
        if not self.ranked.runs or self.ranked.lost:
            return
        family = self.task.share or self.task.seconds
        share, least = ALONE_SHARE * family, least_seconds(able)
        if least > min(MOST_ALONE * family, self.task.max_seconds - (awake() - self.started)):
            return
        self.report(f"timing each case of {self.family.name} alone", 0.0)
        for failed, error in time_alone(able, share, random.Random(self.rng.random()), STOP_REQUESTED.is_set):
            failed.error = self.reason_in_ranks(error)
        for timed in able:
            self.results[timed.prepared.case].alone = timed.alone

    def memory_of_ranks(self) -> None:
        """Measure the peak of memory of each process of a case; that of cases without ranks is a pass like others."""
        for run in self.ranked.runs:
            if self.ranked.lost or STOP_REQUESTED.is_set():
                return
            if run.error is not None or not run.placements or run.prepared.case.slowdown != 1:
                continue
            try:
                self.ranked.after(run)
            except RanksError as error:
                run.error = self.reason_in_ranks(error)
            except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
                traceback.print_exc()

    def verified_in_ranks(self, run: TimedCase) -> str | None:
        """Why a case's result is no longer what it was; None where it is."""
        try:
            return self.ranked.verify(cast(RankedCase, run)) or (left_running(run) if run.device.asynchronous else None)
        except RanksError as error:
            return self.reason_in_ranks(error)

    def finish_ranks(self) -> None:
        """Add what the ranks found; where a pool was lost, the family has its reason instead of results."""
        for run in self.ranked.runs if not self.ranked.lost else ():
            result = self.results[run.prepared.case]
            try:
                if run.error is None:
                    run.finish(result)
                    if result.ranks is not None:
                        result.ranks.threads = self.task.threads
            except RanksError as error:
                self.ranked.lose(error)
            except RanksFailedError as error:
                result.error = str(error)
        self.fail_if_lost()

    def fail_if_lost(self) -> None:
        """Where the ranks of a pool are no longer in step, every case of the family fails with that reason."""
        if self.ranked.lost:
            for result in self.results.values():
                result.error, result.blocks = self.ranked.lost, []
