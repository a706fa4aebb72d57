"""Turns a run's log into the file that the run would have written, had it ended there."""

from __future__ import annotations

from typing import Any, cast

from torchduet.bench.noise.grades import noise_of
from torchduet.bench.record.gpu_samples import gpu_records
from torchduet.bench.record.journal_events import FamilyDone, PilotsTimed, Resumed, RunLog
from torchduet.bench.record.run_record import STAGES, RunFacts, run_record
from torchduet.bench.record.schema import KEY, Record


def run_so_far(log: RunLog) -> dict[str, Any]:
    """A benchmark for each record, and the run's own record; their contents are not checked yet.

    Raises:
        LookupError, TypeError, ValueError: the log's entries are not those of a run.
    """
    run, families, began = log.header.run, log.finished(), log.began()
    outcomes = {case: outcome for family in families for case, outcome in family.outcomes.items()}
    pilots = [event.pilot for event in log.of(PilotsTimed)]
    graded = noise_of(
        [family.timed for family in families if family.timed is not None],
        {case: cast(Record, outcome.record) for case, outcome in outcomes.items() if outcome.record is not None},
        pilots,
        int(run["options"]["threads"]),
        int(run["machine"]["cores"]),
    )
    facts = RunFacts(
        version=run["version"],
        started=run["started"],
        options=run["options"],
        machine=run["machine"],
        unavailable=run["unavailable"],
        total=log.seconds(),
        startup=began.startup if began else 0.0,
        stages={stage: sum(family.spent.stages.get(stage, 0.0) for family in families) for stage in STAGES},
        skipped=[*run["skipped"], *(outcome.skipped for outcome in outcomes.values() if outcome.skipped is not None)],
        failed=[*run["failed"], *(outcome.failed for outcome in outcomes.values() if outcome.failed is not None)],
        unreached=[case for _, cases in log.header.plan for case in cases if case not in outcomes],
        warnings=[*(families[-1].warnings if families else run["warnings"]), _warning(log)],
        ceilings=log.ceilings(),
        pilots=pilots,
        gpus=gpu_records([event.gpus for event in log.of(FamilyDone)]),
        run_clock=families[-1].passing if families else None,
        resumed=[event.resumed for event in log.of(Resumed)],
        noise=graded.noise,
        stopped="",
    )
    benchmarks = [{"extra_info": {KEY: record}} for record in graded.records.values()]
    return {"benchmarks": benchmarks, KEY: {**run, **run_record(facts)}}


def _warning(log: RunLog) -> str:
    done = f"{len(log.finished())} of {len(log.header.plan)} families"
    damaged = f"; {log.dropped} damaged line{' was' if log.dropped == 1 else 's were'} left out" if log.dropped else ""
    return f"this is the journal of a run that was cut short after {done}: --resume continues it{damaged}"
