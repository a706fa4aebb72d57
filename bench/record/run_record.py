"""Builds the run's own record from its facts, which come from a running session or from a journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.run_clock_words import words
from torchduet.bench.record.schema import (
    HANDING_OVER,
    IMPORTING,
    INTERPRETERS,
    PEAK_MEMORY,
    SCHEMA,
    STARTING,
    CeilingRecord,
    GpuRecord,
    NoiseRecord,
    NotMeasured,
    PassingRecord,
    PilotRecord,
    ResumedRecord,
    RunRecord,
    SecondsRecord,
    Unavailable,
)

STAGES = ("compiling", "timed", "checking", "warming", IMPORTING, STARTING, INTERPRETERS, HANDING_OVER, PEAK_MEMORY)

Facts = Mapping[str, str | int | float | None]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The contents of a run's record; for units see :class:`torchduet.bench.record.schema.RunRecord`.

    Attributes:
        stages: seconds by stage; with ``profiling`` if profiles were asked for.
    """

    version: str
    started: str
    options: Facts
    machine: Mapping[str, str | int | float | bool | None]
    unavailable: Sequence[Unavailable]
    total: float
    startup: float
    stages: Mapping[str, float]
    skipped: Sequence[NotMeasured]
    failed: Sequence[NotMeasured]
    unreached: Sequence[str]
    warnings: Sequence[str]
    ceilings: Sequence[CeilingRecord]
    pilots: Sequence[PilotRecord]
    gpus: Sequence[GpuRecord]
    run_clock: PassingRecord | None
    resumed: Sequence[ResumedRecord]
    noise: NoiseRecord | None
    stopped: str
    environment: Mapping[str, str] | None = None


def run_record(facts: RunFacts) -> RunRecord:
    """The run's record for the JSON."""
    stages = facts.stages
    record = RunRecord(
        schema=SCHEMA,
        version=facts.version,
        started=facts.started,
        options=dict(facts.options),
        machine=dict(facts.machine),
        seconds=SecondsRecord(
            total=facts.total,
            startup=facts.startup,
            compiling=stages.get("compiling", 0.0),
            timed=stages.get("timed", 0.0),
            checking=stages.get("checking", 0.0),
            warming=stages.get("warming", 0.0),
        ),
        skipped=[*facts.skipped],
        failed=[*facts.failed],
        unavailable=[*facts.unavailable],
        warnings=[*facts.warnings, *(words(facts.run_clock) if facts.run_clock else ())],
        unreached=[*facts.unreached],
        ceilings=[*facts.ceilings],
        pilots=[*facts.pilots],
    )
    if stages.get(IMPORTING):
        record["seconds"]["importing"] = stages[IMPORTING]
    if stages.get(STARTING):
        record["seconds"]["starting"] = stages[STARTING]
    if stages.get(INTERPRETERS):
        record["seconds"]["interpreters"] = stages[INTERPRETERS]
        record["seconds"]["handing_over"] = stages.get(HANDING_OVER, 0.0)
        record["seconds"]["peak_memory"] = stages.get(PEAK_MEMORY, 0.0)
    if "warm_starting" in stages:
        record["seconds"]["warm_starting"] = stages["warm_starting"]
    if "profiling" in stages:
        record["seconds"]["profiling"] = stages["profiling"]
    if facts.run_clock is not None:
        record["passing"] = facts.run_clock
    if facts.resumed:
        record["resumed"] = [*facts.resumed]
    if facts.stopped:
        record["stopped"] = facts.stopped
    if facts.gpus:
        record["gpus"] = [*facts.gpus]
    if facts.environment is not None:
        record["environment"] = dict(facts.environment)
    if facts.noise is not None:
        record["noise"] = facts.noise
    return record
