"""Visits to a family as workers answer them, with times that are made up, and the records made from them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.copies import with_copies
from torchduet.bench.cases.exchange import CaseResult, ContextSwitches, FamilyResult, Pace
from torchduet.bench.cases.outcome import Measured
from torchduet.bench.record.schema import STARTING, CheckRecord, Record, StopReason
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.record.visits.entry import VisitEntry, with_visit
from torchduet.bench.run.records import records
from torchduet.bench.run.visiting import entries_of
from torchduet.suites.workload import Axis, Implementation, Workload

CHECK = CheckRecord(what="values", relative_error=0.0, tolerance=1e-5)
EAGER, FP32 = Axis(["eager"]), Axis(["fp32"])
UNDECLARED = Workload("it", "undeclared", "", lambda _: (), {"f": Implementation(abs)}, {}, EAGER, FP32)
ROUNDS = 4
TELEMETRY = Telemetry(1.0, others=0.1, steal=0.0)


def case(name: str, mode: str = "eager") -> Case:
    """A case of the workload ``name``."""
    return Case("s", "s", name, "", (), name, True, "cpu", mode, "fp32")


def family(name: str, *modes: str, slowdowns: Sequence[float] | None = None) -> Family:
    """A family with a case in each mode, eager if none is named; with copies where ``slowdowns`` are given."""
    cases = tuple(case(name, mode) for mode in modes or ("eager",))
    made = Family(cases, cases)
    return made if slowdowns is None else with_copies(made, slowdowns)


def answer(
    of: Family,
    number: int,
    *,
    seconds: Mapping[str, float] | None = None,
    between: float = 0.02,
    placements: int = 3,
    stop: StopReason = "budget",
    lacks: Sequence[Case] = (),
    starting: float = 0.0,
    **changes: Any,
) -> FamilyResult:
    """A worker's answer for a visit; the same for the same family and number.

    Args:
        number: of the visit, 0 for the first.
        seconds: mode or implementation → time of a call; 1e-3 for others. A slowed copy takes as much longer as it
            should.
        between: standard deviation of a case's time from visit to visit, on the scale of logarithms.
        lacks: cases that fail.
        starting: seconds of starting its devices.
        changes: of every result.
    """
    results = []
    for each in of.cases:
        chance = random.Random(f"{each.id} {number}")
        known = seconds or {}
        time = (
            known.get(each.mode, known.get(each.implementation, 1e-3))
            * each.slowdown
            * math.exp(chance.gauss(0, between))
        )
        values: dict[str, Any] = {
            "check": CHECK,
            "first_call": {"seconds": 0.1, "calls": 1},
            "clock": "perf_counter",
            "disturbed": [0] * placements,
            "context_switches": ContextSwitches(placements * ROUNDS, 0, 0, placements * ROUNDS * time),
            "blocks": [[time * math.exp(chance.gauss(0, 0.004)) for _ in range(ROUNDS)] for _ in range(placements)],
            "pace": Pace(time, time, 1, 0, idle_waiting=False),
        } | changes
        results.append(CaseResult(each, **({"error": "it raised"} if each in lacks else values)))
    return FamilyResult(results, stop, {"timed": 0.5, "warming": 0.25, STARTING: starting}, TELEMETRY)


def first_records(of: Family, **changes: Any) -> dict[str, Record]:
    """Case id → record after the first visit."""
    outcomes = records(of, answer(of, 0, **changes), UNDECLARED)
    return {of_case.id: outcome.record for of_case, outcome in outcomes.items() if isinstance(outcome, Measured)}


def entries(of: Family, number: int, **changes: Any) -> dict[str, VisitEntry]:
    """Case id → what a later visit found."""
    return {of_case.id: entry for of_case, entry in entries_of(of, answer(of, number, **changes)).items()}


def visited_records(of: Family, visits: int, **changes: Any) -> dict[str, Record]:
    """Case id → record after so many visits, 10 s one after the other; its intervals are still those of the first."""
    found = first_records(of, **changes)
    for number in range(1, visits):
        for case_id, entry in entries(of, number, **changes).items():
            found[case_id] = with_visit(found[case_id], entry, 10.0 * number)
    return found
