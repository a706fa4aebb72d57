"""Makes the records of the JSON from what both sides measured: the times of side A, and B compared with A."""

from __future__ import annotations

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult
from torchduet.bench.duet.judge import Judgement, screened
from torchduet.bench.duet.pairs import AGAINST, BASE, Ledger
from torchduet.bench.duet.processes import Facts
from torchduet.bench.duet.sides import Side
from torchduet.bench.duet.stages import differences
from torchduet.bench.record.schema import SCHEMA, AgainstRecord, DuetRecord, Record, ScreeningRecord, SideRecord, Stage
from torchduet.bench.record.statistics import CONFIDENCE, THRESHOLD, seconds_per_call
from torchduet.bench.run.records import bound, cost_record, rounded, timing_record
from torchduet.suites.workload import Workload


def side_record(side: Side, facts: Facts, label: str) -> SideRecord:
    """One side, for the record of the run."""
    return SideRecord(
        label=label,
        python=side.python,
        python_version=facts.python,
        torch=facts.torch,
        cuda=facts.cuda,
        env=dict(side.env),
        rev=side.rev,
    )


def duet_record(sides: tuple[Side, Side], facts: tuple[Facts, Facts], screened: int, confirmed: int) -> DuetRecord:
    """The two sides, and how many cases came to which stage."""
    labels = (
        sides[BASE].words(facts[BASE].torch, sides[AGAINST], facts[AGAINST].torch),
        sides[AGAINST].words(facts[AGAINST].torch, sides[BASE], facts[BASE].torch),
    )
    return DuetRecord(
        base=side_record(sides[BASE], facts[BASE], labels[BASE]),
        against=side_record(sides[AGAINST], facts[AGAINST], labels[AGAINST]),
        screened=screened,
        confirmed=confirmed,
        confidence=CONFIDENCE,
        threshold=THRESHOLD,
    )


def against_record(ledger: Ledger, case: Case, judgement: Judgement, stage: Stage) -> AgainstRecord:
    """B compared with A, by the pairs of one stage."""
    sides = [[pair[side] for pair in ledger.blocks[case]] for side in (BASE, AGAINST)]
    estimate = judgement.estimate
    record = AgainstRecord(
        stage=stage,
        verdict=judgement.verdict,
        ratio=estimate.ratio,
        low=bound(estimate.low),
        high=bound(estimate.high),
        confidence=estimate.confidence,
        threshold=THRESHOLD,
        pairs=estimate.placements,
        base_seconds=seconds_per_call(sides[BASE]).point,
        seconds=seconds_per_call(sides[AGAINST]).point,
        base_blocks=[[rounded(value) for value in turns] for turns in sides[BASE]],
        blocks=[[rounded(value) for value in turns] for turns in sides[AGAINST]],
    )
    if number := ledger.left_out.get(case):
        turns = "1 turn was" if number == 1 else f"{number} turns were"
        record["note"] = f"{turns} taken again: a side or the machine was suspended"
    return record


def screening_record(record: AgainstRecord) -> ScreeningRecord:
    """The result of the first stage, without its blocks: those of A are in the timing of the case."""
    return ScreeningRecord(
        ratio=record["ratio"],
        low=record["low"],
        high=record["high"],
        confidence=record["confidence"],
        pairs=record["pairs"],
    )


def screened_record(ledger: Ledger, case: Case, workload: Workload, *, reference: bool) -> Record:
    """The record of a case after the first stage: that of A, with B compared with it."""
    first = ledger.first[case]
    blocks = [pair[BASE] for pair in ledger.blocks[case]]
    result = CaseResult(case, clock=first["clock"], calls=ledger.paces[case].calls, blocks=blocks)
    return Record(
        schema=SCHEMA,
        case=case.record(reference=reference),
        timing=timing_record(result, "limit"),
        speedups=[],
        first_call=first["first_call"],
        compile=first["compile"],
        check=first["check"],
        cost=cost_record(workload, case),
        notes=first.get("notes", []),  # a side of an earlier version sends none
        against=against_record(ledger, case, screened(differences(ledger, case)), "screened"),
    )
