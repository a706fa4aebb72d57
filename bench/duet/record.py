"""Makes the records of the JSON from what both sides measured: the times of side A, and B compared with A."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, LeftOut
from torchduet.bench.cases.outcome import Outcome
from torchduet.bench.duet.pairs import AGAINST, BASE, Ledger, Taken
from torchduet.bench.duet.processes import Facts
from torchduet.bench.duet.sides import Side
from torchduet.bench.record.schema import SCHEMA, AgainstRecord, DuetRecord, Record, SideRecord
from torchduet.bench.record.statistics import CONFIDENCE, THRESHOLD
from torchduet.bench.record.visits.entry import VisitEntry, visit_record
from torchduet.bench.record.visits.sides import MIN_PAIRS, first_pair
from torchduet.bench.run.figures import rounded
from torchduet.bench.run.records import cost_record, recorded, timing_record


def side_record(side: Side, facts: Facts, label: str, imported: Mapping[str, str] | None = None) -> SideRecord:
    """One side, for the record of the run.

    Args:
        imported: module of the user's repository → its file there.
    """
    record = SideRecord(
        label=label,
        python=side.python,
        python_version=facts.python,
        torch=facts.torch,
        cuda=facts.cuda,
        env=dict(side.env),
        rev=side.rev,
    )
    if side.settings:
        record["settings"] = dict(side.settings)
    if side.commit is not None:
        record["commit"] = side.commit
    if side.uncommitted is not None:
        record["uncommitted"] = side.uncommitted
    if imported is not None:
        record["imported"] = dict(imported)
    return record


def labels(sides: tuple[Side, Side], facts: tuple[Facts, Facts]) -> tuple[str, str]:
    """What distinguishes each side from the other, in words."""
    return (
        sides[BASE].words(facts[BASE].torch, sides[AGAINST], facts[AGAINST].torch),
        sides[AGAINST].words(facts[AGAINST].torch, sides[BASE], facts[BASE].torch),
    )


def duet_record(
    sides: tuple[Side, Side],
    facts: tuple[Facts, Facts],
    records: Sequence[Record],
    *,
    threshold: float = THRESHOLD,
    imported: tuple[Mapping[str, str] | None, Mapping[str, str] | None] = (None, None),
) -> DuetRecord:
    """The two sides, and how many cases have a pair, and enough of them for a verdict."""
    base, against = labels(sides, facts)
    return DuetRecord(
        base=side_record(sides[BASE], facts[BASE], base, imported[BASE]),
        against=side_record(sides[AGAINST], facts[AGAINST], against, imported[AGAINST]),
        screened=len(records),
        confirmed=sum(record["against"]["pairs"] >= MIN_PAIRS for record in records),
        confidence=CONFIDENCE,
        threshold=threshold,
    )


def result_of(case: Case, ledger: Ledger, taken: Taken) -> CaseResult:
    """What a pair has measured of a case on side A; the context switches are those of both sides."""
    clock = ledger.first[case]["clock"] if case in ledger.first else ""
    result = CaseResult(case, clock=clock, calls=ledger.paces[case].calls, blocks=taken.blocks[case][BASE])
    result.context_switches = taken.switches[case]
    result.disturbed = []  # counted, though not for each placement
    result.left_out = LeftOut(blocks=taken.left_out[case])
    return result


def family_result(ledger: Ledger, taken: Taken) -> FamilyResult:
    """What a pair has measured, for the noise of the run."""
    return FamilyResult([result_of(case, ledger, taken) for case in taken.blocks], telemetry=taken.telemetry)


def first_records(
    family: Family,
    ledger: Ledger,
    taken: Taken,
    at: float,
    references: Mapping[Case, Case],
    threshold: float = THRESHOLD,
    controls: Collection[Case] = (),
) -> dict[Case, Outcome]:
    """The record of each case that the first pair has measured: the times of A, and B compared with A.

    Args:
        at: seconds into the run, when the pair began.
        references: the reference of each case.
        threshold: a change must exceed this to matter.
        controls: cases that a change cannot reach.
    """
    workload = workload_of(family.reference)
    outcomes: dict[Case, Outcome] = {}
    for case, blocks in taken.blocks.items():
        first, result = ledger.first[case], result_of(case, ledger, taken)
        result.disturbed = None
        cost, of_cost = cost_record(workload, case)
        if first["check"] is None or first["first_call"] is None:
            continue  # its worker's answer would have been refused
        base, against = (_rounded(side) for side in blocks)
        record = Record(
            schema=SCHEMA,
            case=case.record(reference=case == references[case]),
            timing={
                **timing_record(result, "budget"),
                "visits": [visit_record(at, len(base), taken.address_sets.get(case))],
            },
            speedups=[],
            first_call=first["first_call"],
            compile=first["compile"],
            check=first["check"],
            cost=cost,
            notes=[*first["notes"], *of_cost],
            against=_with_memory(first_pair(base, against, threshold), taken.peaks.get(case)),
        )
        if case in controls:
            record["against"]["control"] = True
        outcomes[case] = recorded(case, record)
    return outcomes


def _with_memory(record: AgainstRecord, peaks: tuple[int, int] | None) -> AgainstRecord:
    return record if peaks is None else {**record, "base_peak_bytes": peaks[BASE], "peak_bytes": peaks[AGAINST]}


def entries_of(taken: Taken) -> dict[Case, VisitEntry]:
    """What a later pair found of each case."""
    return {
        case: VisitEntry(
            blocks=_rounded(blocks[BASE]),
            against=_rounded(blocks[AGAINST]),
            seconds=rounded(taken.switches[case].seconds),
            left_out=taken.left_out[case],
            address_sets=taken.address_sets.get(case),
        )
        for case, blocks in taken.blocks.items()
    }


def _rounded(placements: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[rounded(value) for value in turns] for turns in placements]
