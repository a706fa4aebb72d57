"""Turns a worker's results into the records of the JSON: estimates, speed-ups, costs, notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, cast

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, FamilyResult
from torchduet.bench.cases.outcome import Failed, Measured, Outcome, Skipped
from torchduet.bench.record.contract import readable_record
from torchduet.bench.record.finite_check import check_record
from torchduet.bench.record.gpu_samples import sm_clock
from torchduet.bench.record.knobs import BY_NAME
from torchduet.bench.record.schema import (
    SCHEMA,
    CostRecord,
    DeviceSpeedupRecord,
    MeterRecord,
    Record,
    SpeedupRecord,
    StopReason,
    TimingRecord,
    TrialRecord,
)
from torchduet.bench.record.schema_check import LARGEST_WHOLE_NUMBER, ContractError, shown
from torchduet.bench.record.statistics import THRESHOLD, placement_differences, seconds_per_call, speedup, value_of
from torchduet.bench.record.visits.entry import visit_record
from torchduet.bench.record.words.counting import plural
from torchduet.bench.run import aa_summary
from torchduet.bench.run.figures import bound, known, number_of, rounded
from torchduet.bench.run.ranks_record import ranks_record
from torchduet.suites.workload import PURE, SAMPLES, Workload

LAUNCH_BOUND_SHARE = 0.9
IN_BYTES = frozenset({"bytes", "message", "bus"})  # of what a cost declares


def cost_record(workload: Workload, case: Case) -> tuple[CostRecord, list[str]]:
    """What one call of the case costs, as far as its author declares it, and a note on each figure left out.

    Bytes are declared for float32; a pure precision has two bytes an element in place of four.
    """
    try:
        cost = workload.cost_at(dict(case.size), case.ranks)
    except Exception as error:  # noqa: BLE001 - the author's own code; the times are right without it
        return CostRecord(), [f"cost= raised {type(error).__name__}: {error}; its figures are left out"]
    if cost is None:
        return CostRecord(), []
    record, notes = dict[str, Any](), []
    kinds = {"flops": float, "bytes": float, "samples": int, "message": float, "bus": float}
    for name, kind in kinds.items():
        value = getattr(cost, name, None)
        if value is None:
            continue
        number = number_of(value)
        if number is not None and name in IN_BYTES and case.precision in PURE:
            number /= 2
        if number is None or number < 0 or (kind is int and number >= LARGEST_WHOLE_NUMBER):
            notes.append(f"cost= says {name}={shown(value)}; it is left out, as no finite number from 0")
        else:
            record[name] = kind(number)
    if "samples" in record and cost.unit != SAMPLES:
        record["unit"] = str(cost.unit)
    return cast(CostRecord, record), notes


def speedup_record(knob: str, result: CaseResult, other: CaseResult) -> SpeedupRecord:
    """``result`` held against ``other``, from the blocks they were timed with in alternation."""
    value, baseline = (
        (str(result.case.setting(knob)), str(other.case.setting(knob)))
        if knob in BY_NAME
        else (" ".join(result.case.variant), " ".join(other.case.variant))
    )
    fields = {
        "knob": knob,
        "value": value,
        "baseline": baseline,
        "against": other.case.id,
        **_estimated(other.blocks, result.blocks),
        "baseline_seconds": seconds_per_call(other.blocks).point,
        "baseline_compiled": other.compile is not None,
    }
    record = cast(SpeedupRecord, fields)
    if (of_device := device_speedup_record(result, other)) is not None:
        record["device_speedup"] = of_device
    if other.first_call is not None:
        record["baseline_first_call"] = other.first_call["seconds"]
    return record


def device_speedup_record(result: CaseResult, other: CaseResult) -> DeviceSpeedupRecord | None:
    """The speed-up of the device's own work; None for cases on different devices, and where it is not known."""
    if result.case.device != other.case.device or not (result.device_blocks and other.device_blocks):
        return None
    return _estimated(other.device_blocks, result.device_blocks)


def _estimated(base: Sequence[Sequence[float]], blocks: Sequence[Sequence[float]]) -> DeviceSpeedupRecord:
    """The speed-up of these blocks over those of the base, with which they were timed in alternation."""
    estimate = speedup(base, blocks)
    log_ratio, error = value_of(placement_differences(base, blocks))
    return DeviceSpeedupRecord(
        ratio=estimate.ratio,
        low=bound(estimate.low),
        high=bound(estimate.high),
        confidence=estimate.confidence,
        placements=estimate.placements,
        visit_ratios=[math.exp(log_ratio)],
        visit_errors=[error],
        threshold=THRESHOLD,
        verdict=estimate.verdict(THRESHOLD),
    )


def timing_record(result: CaseResult, stop: StopReason) -> TimingRecord:
    """How the case was timed, and how long a call takes."""
    seconds = seconds_per_call(result.blocks)
    timing = TimingRecord(
        clock=result.clock,
        calls_per_block=result.calls,
        blocks=[[rounded(value) for value in rounds] for rounds in result.blocks],
        stop=stop,
        seconds=seconds.point,
        low=bound(seconds.low),
        high=bound(seconds.high),
    )
    if result.host and result.wall:
        host = median(value for rounds in result.host for value in rounds)
        timing["host_seconds"] = host
        timing["wall_seconds"] = median(value for rounds in result.wall for value in rounds)
        if result.waits_for_device:
            timing["waits"] = True
        elif not result.waiting_unknown and not result.launch_hidden:
            timing["launch_bound"] = host > LAUNCH_BOUND_SHARE * seconds.point
    if result.device_seconds is not None:
        timing["device_seconds"] = result.device_seconds
    if result.device_blocks:
        timing["device_blocks"] = [[rounded(value) for value in rounds] for rounds in result.device_blocks]
    if result.cold:
        timing["cache"] = "cold"
    if result.disturbed is not None:
        timing["disturbed"] = result.disturbed
    if result.left_out.blocks:
        timing["left_out"] = result.left_out.blocks
    if result.idle_waiting:
        timing["rests"] = True
    return timing


def with_extras(record: Record, result: CaseResult) -> Record:
    """The record with the fields that not every case has: meters, operators, memory."""
    meters = {}
    for name, (unit, values) in result.meters.items():
        finite = [rounded(value) for value in values if number_of(value) is not None]
        if lost := len(values) - len(finite):
            odd = next(value for value in values if number_of(value) is None)
            record["notes"].append(f"meter {name} was {odd:g} in {lost} of {len(values)} placements")
        if finite:
            meters[name] = MeterRecord(
                unit=unit, values=finite, median=rounded(median(finite)), low=min(finite), high=max(finite)
            )
            if lost:
                meters[name]["not_finite"] = lost
    if meters:
        record["meters"] = meters
    extras = known(result, "operators", "peak_bytes", "reserved_bytes", "context_bytes", "headroom", "energy")
    extras |= known(result, "sustained")
    if result.ranks is not None:
        extras["ranks"] = ranks_record(result.ranks)
    if result.alone:
        extras["alone"] = [rounded(seconds) for seconds in result.alone]
    return cast(Record, {**record, **extras})


def trials(family: Family, case: Case, results: dict[Case, CaseResult]) -> list[TrialRecord]:
    """The trials of a case's copies, if there are any."""
    return [
        aa_summary.trial(copy, results[case], results[copy])
        for copy in family.cases
        if copy.copy_number and copy.original == case and results[copy].blocks and not results[copy].error
    ]


def recorded(case: Case, record: Record) -> Outcome:
    """The record as its readers accept it, with a note on what they would refuse; a failure where that is required.

    So one odd value neither makes the whole file unreadable nor is lost without a word.
    """
    try:
        kept, left_out = readable_record(record)
    except ContractError as error:
        return Failed(f"{case.id}: its result cannot be recorded: {error}; report this with the case's suite file")
    kept["notes"] = [*kept["notes"], *left_out]
    return Measured(kept)


def records(family: Family, family_result: FamilyResult, workload: Workload, at: float = 0.0) -> dict[Case, Outcome]:
    """The record of every reported case after the first visit, or the reason why it has none.

    Args:
        at: seconds into the run, when the visit began.
    """
    results = {result.case: result for result in family_result.results}
    reference = results[family.reference]
    outcomes: dict[Case, Outcome] = {}
    for case in family.reported:
        result = results[case]
        if result.error is not None:
            outcomes[case] = Failed(f"{case.id}: {result.error}")
            continue
        if result.skip is not None:
            outcomes[case] = Skipped(result.skip)
            continue
        notes = [*result.notes]
        if not reference.blocks:
            notes.append(f"no speed-up: the reference {reference.case.id}: {reference.error or reference.skip}")
        compiled = [other.case.id for other in family_result.results if other.compile is not None]
        if result.compile is not None and (earlier := compiled.index(case.id)):
            notes.append(
                f"compiled in one process after {plural(earlier, 'other case')} of its family: "
                f"shared code, such as an optimiser's step, was compiled with {compiled[0]}"
            )
        assert result.first_call is not None
        assert result.check is not None
        assert family_result.stop is not None
        cost, of_cost = cost_record(workload, case)
        check, of_check = check_record(result.check)
        record = Record(
            schema=SCHEMA,
            case=case.record(reference=case == family.reference),
            timing={
                **timing_record(result, family_result.stop),
                "visits": [visit_record(at, len(result.blocks), result.address_sets, sm_clock(result.sm_mhz))],
            },
            speedups=[
                speedup_record(knob, result, results[other])
                for knob, other in family.comparisons(case)
                if results[other].blocks and not results[other].error
            ],
            first_call=result.first_call,
            compile=result.compile,
            check=check,
            cost=cost,
            notes=[*notes, *of_check, *of_cost],
        )
        if of_copies := trials(family, case, results):
            record["trials"] = of_copies
        outcomes[case] = recorded(case, with_extras(record, result))
    return outcomes


def checked(family: Family, result: FamilyResult) -> dict[Case, Outcome]:
    """The outcomes of cases that were checked and not timed."""
    results = {result.case: result for result in result.results}
    why_not = "checked, not timed (--benchmark-disable)"
    failures = {case: results[case].error for case in family.reported}
    return {case: Failed(why) if why else Skipped(results[case].skip or why_not) for case, why in failures.items()}
