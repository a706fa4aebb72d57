"""A later visit is added to a case's record: its blocks, its own ratios, and what else it found."""

from __future__ import annotations

import copy
import math
from statistics import median
from typing import Any

import pytest

from tests.bench.made_visits import ROUNDS, entries, family, first_records, visited_records
from torchduet.bench.record.contract import check_record
from torchduet.bench.record.schema import MAX_PLACEMENTS, Record
from torchduet.bench.record.statistics import drift_factor, placement_differences, value_of
from torchduet.bench.record.visits.entry import with_visit

PAIR = family("w", "eager", "compile")
EAGER, COMPILED = (case.id for case in PAIR.cases)


def added(record: Record, number: int = 1, case: str = COMPILED, at: float = 10.0, **changes: Any) -> Record:
    """The record with a later visit; what it was before stays as it is."""
    before = copy.deepcopy(record)
    found = with_visit(record, entries(PAIR, number, **changes)[case], at)
    assert record == before
    check_record(found, case)
    return found


def test_blocks_follow_those_of_earlier_visits_in_order() -> None:
    record = first_records(PAIR)[COMPILED]
    assert record["timing"]["visits"] == [{"at": 0.0, "placements": 3}]
    second = added(record, 1, placements=5)
    third = added(second, 2, at=20.5)
    assert third["timing"]["visits"] == [
        {"at": 0.0, "placements": 3},
        {"at": 10.0, "placements": 5},
        {"at": 20.5, "placements": 3},
    ]
    blocks = third["timing"]["blocks"]
    assert blocks[:3] == record["timing"]["blocks"]
    assert blocks[3:8] == entries(PAIR, 1, placements=5)[COMPILED].blocks
    assert blocks[8:] == entries(PAIR, 2)[COMPILED].blocks
    assert third["timing"]["disturbed"] == [0] * len(blocks)


def test_each_visit_has_a_ratio_of_its_own_and_the_error_that_its_placements_show() -> None:
    found = visited_records(PAIR, 3, seconds={"compile": 5e-4})
    eager, compiled = (found[case]["timing"]["blocks"] for case in (EAGER, COMPILED))
    assert found[EAGER]["speedups"] == []
    assert [speedup["knob"] for speedup in found[COMPILED]["speedups"]] == ["reference", "mode"]
    for speedup in found[COMPILED]["speedups"]:
        assert speedup["placements"] == 9
        for visit, (ratio, error) in enumerate(zip(speedup["visit_ratios"], speedup["visit_errors"], strict=True)):
            of_visit = slice(3 * visit, 3 * visit + 3)
            point, expected = value_of(placement_differences(eager[of_visit], compiled[of_visit]))
            assert ratio == pytest.approx(math.exp(point), rel=1e-4)  # blocks are kept to six digits
            assert expected is not None
            assert error == pytest.approx(expected, rel=1e-2)
            assert 1.8 < ratio < 2.2


def test_one_visits_value_and_its_error() -> None:
    differences = [0.01, -0.01, 0.02, 0.0]
    point, error = value_of(differences)
    assert point == pytest.approx(0.005)
    assert error == pytest.approx(math.sqrt(0.0005 / 3) / 2)
    drifting = [0.0, 0.01, 0.02, 0.03, 0.04]
    assert value_of(drifting)[1] == pytest.approx(math.sqrt(0.001 / 4) / math.sqrt(5) * drift_factor(drifting))
    assert drift_factor(drifting) > 1
    assert value_of([0.3]) == (0.3, None)


def test_a_copy_gets_the_ratio_of_the_copy_with_its_number() -> None:
    copied = family("w", "eager", slowdowns=(1.2,))
    (original,) = first_records(copied)
    found = visited_records(copied, 3, between=0.0)[original]
    identical, slowed = found["trials"]
    assert identical["visit_ratios"] == pytest.approx([1.0] * 3, abs=0.01)
    assert slowed["visit_ratios"] == pytest.approx([1 / 1.2] * 3, abs=0.01)
    assert [trial["placements"] for trial in found["trials"]] == [9, 9]
    assert len(identical["visit_errors"]) == 3


def test_the_seconds_of_a_trial_are_those_of_all_visits() -> None:
    copied = family("w", "eager", slowdowns=(1.2,))
    (original,) = first_records(copied)
    once, thrice = (visited_records(copied, visits, between=0.0)[original]["trials"] for visits in (1, 3))
    for one, three in zip(once, thrice, strict=True):
        assert three["seconds"] == pytest.approx(3 * one["seconds"], rel=0.01)


def test_a_copy_that_failed_in_one_visit_has_the_ratios_of_the_others() -> None:
    copied = family("w", "eager", slowdowns=(1.2,))
    original, _, slowed = copied.cases
    record = first_records(copied)[original.id]
    record = with_visit(record, entries(copied, 1, lacks=[slowed])[original.id], 10.0)
    record = with_visit(record, entries(copied, 2)[original.id], 20.0)
    assert [len(trial["visit_ratios"]) for trial in record["trials"]] == [3, 2]
    check_record(record, "it")


def test_a_case_that_failed_in_one_visit_has_the_others_alone() -> None:
    found = entries(PAIR, 1, lacks=[PAIR.cases[1]])
    assert list(found) == [EAGER]
    assert COMPILED not in entries(PAIR, 1, lacks=[PAIR.cases[1]])
    lonely = entries(PAIR, 1, lacks=[PAIR.cases[0]])[COMPILED]
    assert lonely.ratios == []  # its reference failed: its time is kept, and nothing is compared
    record = added(first_records(PAIR)[COMPILED], 1, lacks=[PAIR.cases[0]])
    assert len(record["timing"]["visits"]) == 2
    assert all(len(speedup["visit_ratios"]) == 1 for speedup in record["speedups"])


def test_what_a_later_visit_left_out_and_noted_is_added() -> None:
    from torchduet.bench.cases.exchange import LeftOut

    record = first_records(PAIR, left_out=LeftOut(2, 1.0), notes=["it sets a seed"])[COMPILED]
    record = added(record, left_out=LeftOut(3, 1.0), notes=["it sets a seed", "it changes an input"])
    assert record["timing"]["left_out"] == 5
    assert record["notes"] == ["it sets a seed", "it changes an input"]
    assert added(record)["timing"]["left_out"] == 5


def test_beyond_the_most_placements_a_visits_ratio_counts_and_its_blocks_are_dropped() -> None:
    number = MAX_PLACEMENTS // 200
    record = visited_records(PAIR, number + 2, placements=200, meters={"loss": ("", [1.0] * 200)})[COMPILED]
    check_record(record, COMPILED)
    timing = record["timing"]
    assert len(timing["blocks"]) == len(timing["disturbed"]) == MAX_PLACEMENTS
    assert [visit["placements"] for visit in timing["visits"]] == [200, 200, MAX_PLACEMENTS - 400, 0]
    (first, _) = record["speedups"]
    assert len(first["visit_ratios"]) == number + 2
    assert first["placements"] == MAX_PLACEMENTS
    assert len(record["meters"]["loss"]["values"]) == MAX_PLACEMENTS
    assert all(len(rounds) == ROUNDS for rounds in timing["blocks"])


def test_a_meter_has_the_values_of_all_visits() -> None:
    record = first_records(PAIR, meters={"loss": ("", [3.0, 1.0, 2.0])})[COMPILED]
    record = added(record, meters={"loss": ("", [5.0, 4.0, 9.0])})
    meter = record["meters"]["loss"]
    assert meter["values"] == [3.0, 1.0, 2.0, 5.0, 4.0, 9.0]
    assert (meter["median"], meter["low"], meter["high"]) == (3.5, 1.0, 9.0)
    assert "not_finite" not in meter


def test_values_that_a_meter_lost_in_any_visit_are_counted() -> None:
    record = first_records(PAIR, meters={"loss": ("", [3.0, math.nan, 2.0])})[COMPILED]
    record = added(record, meters={"loss": ("", [math.inf, 4.0, math.nan])})
    meter = record["meters"]["loss"]
    assert meter["values"] == [3.0, 2.0, 4.0]
    assert meter["median"] == median(meter["values"])
    assert meter["not_finite"] == 3
    fine = first_records(PAIR, meters={"loss": ("", [3.0, 1.0, 2.0])})[COMPILED]
    assert added(fine, meters={"loss": ("", [math.nan] * 3)})["meters"]["loss"]["not_finite"] == 3


def test_a_meter_that_a_visit_lacks_stays_as_it_is() -> None:
    record = first_records(PAIR, meters={"loss": ("", [3.0, 1.0, 2.0])})[COMPILED]
    assert added(record)["meters"] == record["meters"]
    assert added(record, meters={"other": ("", [1.0])})["meters"] == record["meters"]


def test_a_record_by_a_writer_without_visits_counts_as_one_visit() -> None:
    record = first_records(PAIR)[COMPILED]
    del record["timing"]["visits"]
    for speedup in record["speedups"]:
        del speedup["visit_ratios"]
        del speedup["visit_errors"]
    found = added(record)
    assert found["timing"]["visits"] == [{"at": 0.0, "placements": 3}, {"at": 10.0, "placements": 3}]
