"""A later visit to a family: another process times what the first visit has checked, in the same way."""

from __future__ import annotations

from torchduet.bench.cases.exchange import Task
from torchduet.bench.host.suspension import awake
from torchduet.bench.timing.first_calls import Report
from torchduet.bench.timing.stopping import MAX_VISIT_PLACEMENTS
from torchduet.bench.timing.timed_case import TimedCase, warm_up
from torchduet.bench.workers.family import Stages

WARM_UP_SECONDS = 0.02  # for a case, at most: its first calls, each placement and each block warm it up, too


class LaterStages(Stages):
    """The stages of a later visit: no checks, no passes, and the pace of the first visit.

    Orders, distances in memory and seeds are others than in earlier visits.
    """

    def __init__(self, task: Task, report: Report) -> None:
        assert task.paces is not None
        super().__init__(task, report, f"{task.family.name} {task.number}")
        self.paces = task.paces

    def warm_up(self) -> None:
        """Warm every case up, for a shorter time than in the first visit: its pace is known."""
        start = awake()
        for run in [run for run in self.runs if run.prepared.case.slowdown == 1]:
            try:
                if run.captures:
                    run.settle()  # other cases' first calls have moved the inputs since
                run.keep_to(self.paces[run.prepared.case])
                warm_up(run, min(WARM_UP_SECONDS, self.task.seconds))
                run.keep_to(self.paces[run.prepared.case])
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                run.error = self.reason(run, error)
        self.decide()
        self.warm_slowed_copies([run for run in self.runs if run.error is None and run.prepared.case.slowdown == 1])
        for run in self.runs:
            run.prepared.context.seed = self.task.number * MAX_VISIT_PLACEMENTS
        self.seconds["warming"] += awake() - start

    def timed(self) -> list[TimedCase]:
        """The cases that are timed: all that the first visit has timed."""
        return [run for run in self.runs if run.error is None and run.skip is None]

    def after(self) -> None:
        """Make no passes: the first visit has made them."""
