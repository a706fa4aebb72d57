"""Collects the facts of a running run for its record."""

from __future__ import annotations

from collections.abc import Sequence

import torchduet
from torchduet.bench.cases.knobs import OPTIONS
from torchduet.bench.cases.outcome import Failed, Skipped
from torchduet.bench.host.gpus import variables
from torchduet.bench.plan.availability import missing
from torchduet.bench.record.run_record import RunFacts
from torchduet.bench.record.schema import GpuRecord, NoiseRecord, NotMeasured, Unavailable
from torchduet.bench.run.measuring import Measuring


def facts_of(measuring: Measuring, *, gpus: Sequence[GpuRecord] = (), noise: NoiseRecord | None = None) -> RunFacts:
    """A run's options, and what it measured and left out so far."""
    settings, progress = measuring.settings, measuring.progress
    options = settings.options
    failed, skipped = [], []
    for case, outcome in progress.outcomes.items():
        match outcome:
            case Failed(reason):
                failed.append(NotMeasured(case=case.record(reference=False), reason=reason))
            case Skipped(reason):
                skipped.append(NotMeasured(case=case.record(reference=False), reason=reason))
    return RunFacts(
        version=torchduet.__version__,
        started=progress.started.isoformat(timespec="seconds"),
        options={
            "tier": options.tier,
            "budget_seconds": options.budget_seconds,
            "threads": settings.threads,
            "suite": ",".join(options.suites) if options.suites else None,
            "data": settings.data,
            **({} if options.data is None else {"data_source": options.data}),
            **({} if options.shard is None else {"shard": str(options.shard), "shard_plan": progress.shard_plan}),
            "cache": "cold" if options.cold else None,
            **{
                knob.name: ",".join(map(str, asked)) if (asked := options.asked.get(knob.name)) else None
                for knob in OPTIONS
            },
        },
        machine=settings.machine.facts(),
        unavailable=[Unavailable(variant=name, reason=why) for name, why in missing(settings.machine)],
        total=progress.elapsed(),
        startup=progress.startup,
        stages=progress.seconds if settings.profiling is None else {"profiling": 0.0, **progress.seconds},
        skipped=skipped,
        failed=failed,
        unreached=[
            case.id for family in progress.families for case in family.reported if case not in progress.outcomes
        ],
        warnings=progress.warnings,
        ceilings=progress.ceilings,
        pilots=measuring.monitor.pilots,
        gpus=gpus,
        run_clock=measuring.run_clock.record(),
        resumed=progress.resumed,
        noise=noise,
        stopped=progress.stopped,
        environment=variables.environment() if settings.machine.gpus else None,
    )
