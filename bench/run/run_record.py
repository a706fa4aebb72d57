"""The run as it stands in the JSON."""

from __future__ import annotations

from importlib import metadata
from time import monotonic
from typing import TYPE_CHECKING

from torchduet.bench.cases.knobs import OPTIONS
from torchduet.bench.host.run_clock import words
from torchduet.bench.plan.availability import missing
from torchduet.bench.record.schema import SCHEMA, NotMeasured, RunRecord, SecondsRecord, Unavailable
from torchduet.bench.run.records import Skip

if TYPE_CHECKING:
    from torchduet.bench.run.state import State


def about(session: State) -> RunRecord:
    """What a session was asked for, and what it measured and left out so far."""
    options = session.options
    failed, skipped = [], []
    for case, outcome in session.outcomes.items():
        if isinstance(outcome, str):
            failed.append(NotMeasured(case=case.record(reference=False), reason=outcome))
        elif isinstance(outcome, Skip):
            skipped.append(NotMeasured(case=case.record(reference=False), reason=outcome.reason))
    made = RunRecord(
        schema=SCHEMA,
        version=metadata.version("torchduet"),
        started=session.started.isoformat(timespec="seconds"),
        options={
            "tier": options.tier,
            "budget_seconds": options.budget_seconds,
            "threads": session.threads,
            "suite": ",".join(options.suites) if options.suites else None,
            "data": session.data,
            "cache": "cold" if options.cold else None,
            **{
                knob.name: ",".join(map(str, asked)) if (asked := options.asked.get(knob.name)) else None
                for knob in OPTIONS
            },
        },
        machine=session.machine.facts(),
        seconds=SecondsRecord(
            total=monotonic() - session.begun,
            startup=session.startup,
            compiling=session.seconds["compiling"],
            timed=session.seconds["timed"],
            checking=session.seconds["checking"],
            warming=session.seconds["warming"],
        ),
        skipped=skipped,
        failed=failed,
        unavailable=[Unavailable(variant=name, reason=why) for name, why in missing(session.machine)],
        warnings=session.warnings,
        unreached=[case.id for family in session.families for case in family.reported if case not in session.outcomes],
        ceilings=session.ceilings,
        pilots=session.watch.pilots,
    )
    if (passing := session.passing.record()) is not None:
        made["passing"] = passing
        made["warnings"] = [*made["warnings"], *words(passing)]
    if session.profiling is not None:
        made["seconds"]["profiling"] = session.seconds.get("profiling", 0.0)
    if session.resumed:
        made["resumed"] = session.resumed
    if session.stopped:
        made["stopped"] = session.stopped
    return made


def run_record(session: State) -> RunRecord:
    """The run as it came out; its cases' records get their noise."""
    made = about(session)
    session.timeline.stop()
    if gpus := session.timeline.records():
        made["gpus"] = gpus
    noise = session.watch.grade()
    if noise is not None:
        made["noise"] = noise
    return made
