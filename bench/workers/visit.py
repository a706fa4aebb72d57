"""One visit to a family: what a worker does from the import of the suite to the answer."""

from __future__ import annotations

import contextlib

from torchduet.bench.cases.exchange import FamilyResult, Task
from torchduet.bench.host.suspension import awake
from torchduet.bench.record.schema import IMPORTING
from torchduet.bench.state.at_import import imported
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.first_calls import Report
from torchduet.bench.timing.stopping import INTERRUPTED
from torchduet.bench.workers.family import Stages
from torchduet.bench.workers.later_visit import LaterStages
from torchduet.bench.workers.messages import STOP_REQUESTED
from torchduet.suites.registry import is_given, load


def measure(task: Task, report: Report) -> FamilyResult:
    """Measure one family in this process: its first visit, or a later one.

    ``report(what, fraction)`` reports progress. An error in a case's own code becomes part of its result.
    """
    begin(task.threads, task.folder, task.data)
    reference = task.family.reference
    report(f"{IMPORTING} {'the functions' if is_given(reference.source) else reference.source}", 0.0)
    start = awake()
    notes = imported(lambda: load(reference.source), reference.source, task.threads)
    importing = awake() - start
    first = task.paces is None
    stages = Stages(task, report) if first else LaterStages(task, report)
    stages.seconds[IMPORTING] = importing
    for result in stages.results.values():
        result.notes += notes
    with contextlib.closing(stages.ranked):
        return _measured(stages, task)


def _measured(stages: Stages, task: Task) -> FamilyResult:
    first = task.paces is None
    stages.ranked.start()  # before this process has threads, which its children would not have
    devices = dict.fromkeys(case.device for case in task.family.cases)
    for device in devices:
        stages.prepare_device(device, [case for case in task.family.cases if case.device == device])
        if stages.broken is not None:
            return FamilyResult(list(stages.results.values()), None, stages.seconds, broken=stages.broken)
    stop = None
    if not task.check_only:
        # Recompilation is forbidden during the warm-up, too: a case that recompiles then is not yet stable.
        with undisturbed():
            stages.warm_up()
            stop = None if stages.broken else stages.time()
            if stop != INTERRUPTED and not stages.broken:
                stages.after()
        if first and not stages.broken:
            here = [run for run in stages.runs if not run.elsewhere]
            stages.inputs.note_late_changes(here, stages.results)
            began = awake()
            stages.still_computes()
            stages.seconds["checking"] += awake() - began
    stages.finish()
    results = list(stages.results.values())
    if stages.broken or (stages.ranked.lost and not STOP_REQUESTED.is_set()):
        stop = None  # nobody asked for the end: others are timed again in another process, or the family has failed
    return FamilyResult(results, stop, stages.seconds, stages.telemetry, broken=stages.broken)
