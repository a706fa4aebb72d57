"""Intervals and verdicts of a run rest on all visits; records by writers without visits stay as they are."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import pytest

from tests.bench.made_visits import family, first_records, visited_records
from torchduet.bench.record.contract import check_record
from torchduet.bench.record.moderation import MIN_FAMILIES, TYPICAL, Estimate, Prior, Visits, estimate, fit
from torchduet.bench.record.schema import Record, VisitsRecord
from torchduet.bench.record.schema_check import check
from torchduet.bench.record.statistics import side_of, wanted
from torchduet.bench.record.visits.intervals import is_precise, judged, priors_of, ratios_of, times_of

MACHINE = {"speedups": Prior(0.03, 5.0, 40, "machine")}


ENOUGH = 3 * MIN_FAMILIES  # families that teach how much visits differ


def run(visits: int, families: int = ENOUGH, **changes: Any) -> dict[str, Record]:
    """Case id → record of a run of families with two cases each."""
    found: dict[str, Record] = {}
    for number in range(families):
        found |= visited_records(family(f"w{number}", "eager", "compile"), visits, **changes)
    return found


def compared(records: Mapping[str, Record]) -> list[Any]:
    """Every case's speed-up against its reference."""
    return [record["speedups"][0] for record in records.values() if record["speedups"]]


def test_a_ratio_is_estimated_from_its_visits_with_a_moderated_interval() -> None:
    records = run(4, seconds={"compile": 5e-4})
    found = judged(records, {})
    prior = found.priors["speedups"]
    assert prior == fit(
        [
            (record["case"]["family"], ratios_of(record["speedups"][0]))
            for record in records.values()
            if record["speedups"]
        ]
    )
    assert prior.source == "run"
    for before, after in zip(compared(records), compared(found.records), strict=True):
        logs = [math.log(ratio) for ratio in before["visit_ratios"]]
        expected = estimate(Visits(tuple(logs), tuple(before["visit_errors"])), prior)
        assert math.log(after["ratio"]) == pytest.approx(expected.point)
        assert (math.log(after["low"]), math.log(after["high"])) == pytest.approx((expected.low, expected.high))
        assert after["interval"] == {
            "visits": 4,
            "deviation": expected.deviation,
            "degrees": expected.degrees,
            "prior": "run",
        }
        assert after["verdict"] == side_of(expected.low, expected.high, after["threshold"]) == "faster"
    for case, record in found.records.items():
        check_record(record, case)


def test_records_given_are_not_changed() -> None:
    records = run(3)
    before = copy.deepcopy(records)
    judged(records, {})
    assert records == before


def test_both_comparisons_with_one_case_have_one_interval_and_count_once() -> None:
    records = run(3)
    found = judged(records, {})
    for record in found.records.values():
        for by_reference, by_knob in [record["speedups"]] if record["speedups"] else []:
            assert by_reference["against"] == by_knob["against"]
            assert (by_reference["low"], by_reference["high"]) == (by_knob["low"], by_knob["high"])
    for record in records.values():
        record["speedups"] = record["speedups"][:1]
    assert judged(records, {}).priors == found.priors


def test_a_time_is_estimated_from_its_visits_like_a_ratio() -> None:
    records = run(3)
    found = judged(records, {})
    for case, record in found.records.items():
        times = times_of(records[case])
        assert len(times.values) == 3
        expected = estimate(times, found.priors["times"])
        assert math.log(record["timing"]["seconds"]) == pytest.approx(expected.point)
        assert math.log(record["timing"]["high"]) == pytest.approx(expected.high)
        assert record["timing"]["low"] < record["timing"]["seconds"] < record["timing"]["high"]


def test_blocks_that_were_not_kept_have_no_part_in_the_time() -> None:
    record = first_records(family("w"), placements=6)["s.w cpu eager fp32"]
    record["timing"]["visits"] = [
        {"at": 0.0, "placements": 4},
        {"at": 9.0, "placements": 2},
        {"at": 20.0, "placements": 0},
    ]
    assert len(times_of(record).values) == 2


def test_more_visits_narrow_the_interval() -> None:
    widths = []
    for visits in (2, 4, 12):
        records = judged(run(visits, families=20), {}).records
        widths.append(sum(math.log(one["high"] / one["low"]) for one in compared(records)))
    assert widths == sorted(widths, reverse=True)


def test_a_difference_between_visits_widens_what_placements_alone_would_call_narrow() -> None:
    still, moving = (judged(run(4, between=between), {}).records for between in (0.0, 0.05))
    for one, other in zip(compared(still), compared(moving), strict=True):
        assert math.log(other["high"] / other["low"]) > 3 * math.log(one["high"] / one["low"])


def test_without_other_families_the_visits_speak_for_themselves() -> None:
    found = judged(run(3, families=1), {})
    assert found.priors == {}
    (speedup,) = compared(found.records)
    assert speedup["interval"]["prior"] == "none"
    assert speedup["interval"]["degrees"] == 2
    assert found.visits == {"fewest": 3, "median": 3, "most": 3}


def test_what_earlier_runs_taught_moderates_a_run_of_few_families() -> None:
    found = judged(run(3, families=1), MACHINE)
    (speedup,) = compared(found.records)
    expected = estimate(ratios_of(speedup), MACHINE["speedups"])
    assert (speedup["interval"]["prior"], speedup["interval"]["degrees"]) == ("machine", expected.degrees)
    assert expected.degrees > 2  # more than the visits alone have
    assert found.priors == MACHINE
    many = judged(run(3), MACHINE)
    assert many.priors["speedups"].source == "run"  # where a run has families enough, it learns from them


def test_single_visits_have_the_built_in_figures_and_say_so() -> None:
    found = judged(run(1), {})
    assert found.priors == {"speedups": TYPICAL["speedups"], "times": TYPICAL["times"]}
    for speedup in compared(found.records):
        assert speedup["interval"]["prior"] == "typical"
        assert speedup["low"] < speedup["ratio"] < speedup["high"]
    assert found.visits is not None
    assert {prior["source"] for prior in found.visits["priors"]} == {"typical"}


def test_two_runs_of_a_family_with_one_visit_among_others_with_more() -> None:
    records = run(3) | visited_records(family("late", "eager", "compile"), 1)
    found = judged(records, {})
    late = found.records["s.late cpu compile fp32"]["speedups"][0]
    assert (late["interval"]["visits"], late["interval"]["prior"]) == (1, "run")
    assert found.visits is not None
    assert (found.visits["fewest"], found.visits["median"], found.visits["most"]) == (1, 3, 3)


def test_the_runs_record_says_how_often_and_by_what_it_was_moderated() -> None:
    found = judged(run(3), {})
    assert found.visits is not None
    assert [prior["of"] for prior in found.visits["priors"]] == ["speedups", "times"]
    for prior in found.visits["priors"]:
        assert prior["families"] == ENOUGH
        assert prior["deviation"] == found.priors[prior["of"]].deviation
    check(found.visits, VisitsRecord, "visits")


@pytest.mark.parametrize("between", [0.0, 0.05])
def test_it_is_precise_where_every_interval_is_narrow_enough(between: float) -> None:
    found = judged(run(6, between=between), {}, "interrupted")
    for record in found.records.values():
        narrow = all(
            math.log(one["high"] / one["low"]) / 2 <= wanted(math.log(one["ratio"])) for one in record["speedups"]
        )
        assert record["timing"]["stop"] == ("precise" if narrow else "interrupted")
    stops = {record["timing"]["stop"] for record in found.records.values() if record["speedups"]}
    assert stops == ({"precise"} if not between else {"interrupted"})


@pytest.mark.parametrize("between", [0.0, 0.05])
def test_copies_are_among_the_intervals_that_have_to_be_narrow(between: float) -> None:
    records: dict[str, Record] = {}
    for number in range(ENOUGH):
        records |= visited_records(family(f"w{number}", "eager", slowdowns=()), 8, between=between)
    found = judged(records, {})
    assert {record["timing"]["stop"] for record in found.records.values()} == {"budget" if between else "precise"}


def test_copies_have_a_variance_of_their_own_and_their_verdicts() -> None:
    records: dict[str, Record] = {}
    for number in range(ENOUGH):
        records |= visited_records(family(f"w{number}", "eager", slowdowns=(1.2,)), 5, between=0.001)
    found = judged(records, {})
    assert set(found.priors) == {"copies", "times"}
    for case, record in found.records.items():
        check_record(record, case)
        identical, slowed = record["trials"]
        assert identical["verdict"] in ("same", "unclear")
        assert slowed["verdict"] == "slower"
        assert identical["interval"]["visits"] == 5
        assert 0 < identical["minimum_effect"] < 0.2


def test_where_no_interval_exists_it_is_unclear() -> None:
    record = first_records(family("w", "eager", "compile"))["s.w cpu compile fp32"]
    for speedup in record["speedups"]:
        speedup["visit_ratios"], speedup["visit_errors"] = [1.5], [None]
    found = judged({"it": record}, {"speedups": Prior(0.02, 0.01, 5, "machine")}).records["it"]  # t of 0.01 degrees
    for speedup in found["speedups"]:
        assert (speedup["low"], speedup["high"], speedup["verdict"]) == (None, None, "unclear")
        assert "interval" not in speedup
    check_record(found, "it")


def test_records_without_visits_stay_as_they_are() -> None:
    old = first_records(family("old", "eager", "compile"), placements=9)
    for record in old.values():
        del record["timing"]["visits"]
    found = judged(old, {})
    assert dict(found.records) == old
    assert (found.visits, found.priors) == (None, {})
    mixed = judged(old | run(3), {})
    assert {case: mixed.records[case] for case in old} == old
    assert list(mixed.records) == [*old, *run(3)]
    assert mixed.visits == judged(run(3), {}).visits


def test_what_a_run_did_not_measure_has_no_prior_in_it() -> None:
    machine = Prior(0.01, 9.0, 30, "machine")
    found = judged(run(3, families=1), {"copies": machine, "times": machine, "sides": machine})
    assert found.priors == {"times": machine}
    assert found.visits is not None
    assert [prior["of"] for prior in found.visits["priors"]] == ["times"]


def test_degrees_without_end_are_a_million_in_the_record() -> None:
    found = judged(run(3, families=1, between=0.001), {"speedups": Prior(0.05, math.inf, 30, "machine")})
    assert [one["interval"]["degrees"] for one in compared(found.records)] == [1e6]


def test_a_prior_is_in_the_record_as_it_was() -> None:
    machine = {"speedups": Prior(0.03, math.inf, 40, "machine"), "times": Prior(0.02, 4.0, 30, "machine")}
    found = judged(run(1, families=1), machine)
    assert found.visits is not None
    recorded = {prior["of"]: prior for prior in found.visits["priors"]}
    assert recorded["speedups"] == {"of": "speedups", "deviation": 0.03, "degrees": None, "families": 40} | {
        "source": "machine"
    }
    assert recorded["times"]["degrees"] == 4.0
    assert priors_of(found.visits) == machine
    assert priors_of(None) == {}


def test_the_fewest_the_median_and_the_most_visits_are_recorded() -> None:
    records = {
        name: record
        for number, visits in enumerate((2, 3, 9))
        for name, record in visited_records(family(f"w{number}"), visits).items()
    }
    found = judged(records, {}).visits
    assert found is not None
    assert (found["fewest"], found["median"], found["most"]) == (2, 3, 9)


def test_an_interval_that_is_too_wide_to_say_anything_is_none() -> None:
    """Half of that of two visits is 63.7 times as wide as they are from their middle: 89 for 1.4, 57 for 0.9."""
    for apart, known in ((1.4, False), (0.9, True)):
        records = run(3, families=1)
        for record in records.values():
            for speedup in record["speedups"]:
                speedup["visit_ratios"] = [math.exp(apart), math.exp(-apart)]
                speedup["visit_errors"] = [None, None]
        (found,) = compared(judged(records, {"speedups": Prior(1.0, 1e-9, 9, "machine")}).records)
        assert (found["low"] is not None, found["high"] is not None, "interval" in found) == (known, known, known)


def test_an_interval_is_narrow_enough_at_the_width_that_is_wanted() -> None:
    for half, expected in ((0.01, True), (0.0101, False)):
        assert is_precise(Estimate(0.0, -half, half, 0.01, 5.0, 4, "run")) is expected
    assert is_precise(Estimate(0.3, 0.28, 0.32, 0.01, 5.0, 4, "run"))
