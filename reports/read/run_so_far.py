"""Turns a run's log into the file that the run would have written, had it ended there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torchduet.bench.noise.grades import noise_of
from torchduet.bench.record.gpu_samples import gpu_records
from torchduet.bench.record.journal_events import FamilyDone, OutcomeEntry, PilotsTimed, Resumed, RunLog, VisitDone
from torchduet.bench.record.run_record import STAGES, RunFacts, run_record
from torchduet.bench.record.schema import KEY, Record
from torchduet.bench.record.visits.entry import with_visit
from torchduet.bench.record.visits.intervals import judged, priors_of


def run_so_far(log: RunLog) -> dict[str, Any]:
    """A benchmark for each record, and the run's own record; their contents are not checked yet.

    Raises:
        LookupError, TypeError, ValueError: the log's entries are not those of a run.
    """
    run, families, began = log.header.run, log.finished(), log.began()
    outcomes = {case: outcome for family in families for case, outcome in family.outcomes.items()}
    pilots = [event.pilot for event in log.of(PilotsTimed)]
    visits = log.visits(families)
    of_all: list[FamilyDone | VisitDone] = [*families, *visits]
    found = judged(_measured(outcomes, visits), priors_of(run.get("visits")), "interrupted")
    graded = noise_of(
        [event.timed for event in of_all if event.timed is not None],
        found.records,
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
        stages={
            stage: sum(of.get(stage, 0.0) for of in (*(f.spent.stages for f in families), *(v.stages for v in visits)))
            for stage in STAGES
        },
        skipped=[*run["skipped"], *(outcome.skipped for outcome in outcomes.values() if outcome.skipped is not None)],
        failed=[*run["failed"], *(outcome.failed for outcome in outcomes.values() if outcome.failed is not None)],
        unreached=[case for _, cases in log.header.plan for case in cases if case not in outcomes],
        warnings=[*(families[-1].warnings if families else run["warnings"]), _warning(log)],
        ceilings=log.ceilings(),
        pilots=pilots,
        gpus=gpu_records([event.gpus for event in log.events if isinstance(event, FamilyDone | VisitDone)]),
        run_clock=next(
            (event.passing for event in reversed(log.events) if isinstance(event, FamilyDone | VisitDone)), None
        ),
        resumed=[event.resumed for event in log.of(Resumed)],
        noise=graded.noise,
        stopped="",
    )
    benchmarks = [{"extra_info": {KEY: record}} for record in graded.records.values()]
    record = run_record(facts)
    if found.visits is not None:
        record["visits"] = found.visits
    return {"benchmarks": benchmarks, KEY: {**run, **record}}


def _measured(outcomes: Mapping[str, OutcomeEntry], visits: Sequence[VisitDone]) -> dict[str, Record]:
    """Every case's record with all visits to it."""
    records = {case: cast(Record, outcome.record) for case, outcome in outcomes.items() if outcome.record is not None}
    for visit in visits:
        for case, entry in visit.cases.items():
            if case in records:
                records[case] = with_visit(records[case], entry, visit.began)
    return records


def _warning(log: RunLog) -> str:
    done = f"{len(log.finished())} of {len(log.header.plan)} families"
    damaged = f"; {log.dropped} damaged line{' was' if log.dropped == 1 else 's were'} left out" if log.dropped else ""
    return f"this is the journal of a run that was cut short after {done}: --resume continues it{damaged}"
