"""The worker's part of ``torchduet selfcheck levels``: one short visit to a pair, as a run makes it.

Inputs, first calls, warm-up and alternation are the product's own. Nothing is checked against float64, compiled code is
loaded from a cache that an earlier worker has filled, and the number of placements is fixed: the design is balanced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import Task
from torchduet.bench.host.counters import Gauge
from torchduet.bench.record.statistics import placement_differences
from torchduet.bench.selfcheck.levels_task import Visit, VisitTask
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.alternation import Alternation, next_placement, undisturbed
from torchduet.bench.timing.checking.results import Results
from torchduet.bench.timing.dynamo import compile_into
from torchduet.bench.timing.first_calls import Report
from torchduet.bench.timing.pacing import FEW_ROUNDS, MAX_ROUNDS, Plan, round_seconds, set_repeats
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.family import Stages


class VisitStages(Stages):
    """The stages of a visit after the first: nothing is checked, nothing is compiled anew.

    Args:
        cache: folder of the caches of compiled code, which an earlier visit has filled.
    """

    def __init__(self, task: Task, report: Report, cache: Path) -> None:
        super().__init__(task, report)
        self.checks.enabled = False
        self._cache = cache

    def remembers(self, run: TimedCase, results: Results) -> str | None:
        """Not asked here."""
        del run, results
        return None

    def empty_cache(self, case: Case) -> None:
        """Compile into the cache of this case, or load what is there."""
        folder = self._cache / f"inductor-{self.task.family.cases.index(case)}"
        folder.mkdir(parents=True, exist_ok=True)
        compile_into(folder)


def visit(job: VisitTask, report: Report) -> Visit:
    """Make one visit in this process.

    Raises:
        RuntimeError: a case of the pair could not be timed; the message says why.
    """
    task = job.task
    begin(task.threads, task.folder)
    stages = VisitStages(task, report, Path(job.cache))
    stages.prepare_device("cpu", task.family.cases)
    _raise_error(stages)
    with undisturbed():
        stages.warm_up()
        runs = stages.runs
        _raise_error(stages)

        def move_inputs(group: Sequence[TimedCase]) -> None:
            stages.move(runs, ("cpu",))
            next_placement(group)

        alternation = Alternation(
            move_inputs,
            Stopping(math.inf, min_placements=job.placements, max_placements=job.placements),
            plan_for(runs, task.seconds, job.placements),
            stages.rng,
            stages.reason,
            lambda: report("timing", 0.5),
        )
        gauge = Gauge()
        alternation.time(runs)
        others = gauge.finish().others
    _raise_error(stages)
    base, case = (run.blocks for run in runs)
    first_calls = [result.first_call for result in stages.results.values()]
    return Visit(
        differences=tuple(placement_differences(base, case)),
        seconds=tuple(run.seconds for run in runs),
        first_calls=sum(first["seconds"] for first in first_calls if first is not None),
        others=others,
    )


def plan_for(runs: Sequence[TimedCase], seconds: float, placements: int) -> Plan:
    """Set the turns of each case; as many rounds as fit into each of the placements, an even number, at least two."""
    set_repeats(runs, seconds)
    fitting = min(int(seconds / placements / max(round_seconds(runs), 1e-9)), MAX_ROUNDS)
    return Plan(max(FEW_ROUNDS, fitting - fitting % 2))


def _raise_error(stages: VisitStages) -> None:
    errors = [result.error or result.skip for result in stages.results.values()]
    errors += [run.error or run.skip for run in stages.runs]
    if reasons := [error for error in errors if error]:
        raise RuntimeError(reasons[0])
