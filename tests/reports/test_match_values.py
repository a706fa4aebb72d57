"""Two runs of few families held against each other: which side is above, and what belongs to the machine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.remeasured import remeasured
from tests.reports.sample import make_run
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.run_file import from_json

EAGER = "matmul.square[n=512] cpu eager fp32"
COMPILED = "matmul.square[n=512] cpu compile fp32"


@pytest.fixture(scope="module")
def document() -> Any:
    return make_run(visits=0)


def held(base: Any, new: Any) -> Comparison:
    return compare(from_json(base, "base.json"), [from_json(new, "new.json")], Thresholds(0.05))[0]


def change(of: Comparison, case: str) -> Change:
    return next(one for one in of.changes if one.case["id"] == case)


@pytest.fixture(scope="module")
def faster(document: Any) -> Comparison:
    """The compiled case takes a third less time."""
    return held(remeasured(document, 1), remeasured(document, 2, slower={COMPILED: 1 / 1.5}))


def test_less_time_is_faster_in_time_and_in_speed_up_with_the_interval_about_it(faster: Comparison) -> None:
    one = change(faster, COMPILED)
    for found in (one.time, one.speedup):
        assert found is not None
        assert found.verdict == "faster"
        assert found.ratio == pytest.approx(1.5, rel=0.03)
        assert found.low is not None
        assert found.high is not None
        assert 1.3 < found.low < found.ratio < found.high < 1.7


def test_a_reference_has_no_speed_up_and_is_unchanged(faster: Comparison) -> None:
    one = change(faster, EAGER)
    assert one.speedup is None
    assert one.time is not None
    assert one.time.verdict == "same"
    assert faster.common is None
    assert faster.guarded


def test_both_sides_records_and_all_questions_are_counted(faster: Comparison) -> None:
    judged = [one for one in faster.changes if one.time]
    assert faster.asked == sum(1 + (one.speedup is not None) for one in judged)
    one = change(faster, COMPILED)
    assert one.base is not None
    assert one.new is not None
    assert one.base["timing"]["seconds"] > one.new["timing"]["seconds"]


def on_machine(document: Any, **facts: Any) -> Any:
    document[KEY]["machine"].update(facts)
    return document


def test_a_machine_that_is_twice_as_fast_is_the_reason_on_the_same_machine_and_the_question_on_another(
    document: Any,
) -> None:
    base = remeasured(document, 1)
    same = held(base, remeasured(document, 2, machine=0.5))
    other = held(base, on_machine(remeasured(document, 2, machine=0.5), cpu="another CPU"))
    found = change(same, EAGER).time
    assert found is not None
    assert (found.verdict, found.cause) == ("unclear", "moved")
    assert change(other, EAGER).time is not None
    assert change(other, EAGER).verdict == "faster"
    assert change(other, EAGER).time.ratio == pytest.approx(2.0, rel=0.05)  # type: ignore[union-attr]


def test_without_pilots_the_reference_stands_in_and_a_shift_of_all_is_not_the_cases(document: Any) -> None:
    base = remeasured(document, 1, pilots=False)
    moved = held(base, remeasured(document, 2, machine=1.3, pilots=False))
    assert not moved.guarded
    assert {one.verdict for one in moved.changes if one.time} <= {"same", "unclear"}
    slower = held(base, remeasured(document, 2, slower={COMPILED: 1.5}, pilots=False))
    assert [one.case["id"] for one in slower.changes if one.verdict == "slower"] == [COMPILED]


def test_cases_of_one_run_alone_are_not_compared(document: Any) -> None:
    base, new = remeasured(document, 1), remeasured(document, 2)
    new["benchmarks"] = [one for one in new["benchmarks"] if one["extra_info"][KEY]["case"]["id"] != COMPILED]
    of = held(base, new)
    assert change(of, COMPILED).time is None
    assert change(of, EAGER).time is not None


def test_two_runs_are_each_held_against_the_base(document: Any) -> None:
    base = from_json(remeasured(document, 1), "base.json")
    runs = [
        from_json(remeasured(document, seed, slower={case: 1.5}), f"{seed}.json")
        for seed, case in ((2, COMPILED), (3, EAGER))
    ]
    first, second = compare(base, runs, Thresholds(0.05))
    assert (first.new.name, second.new.name) == ("2.json", "3.json")
    assert [one.case["id"] for one in first.changes if one.verdict == "slower"] == [COMPILED]
    assert [one.case["id"] for one in second.changes if one.verdict == "slower"] == [EAGER]
    assert first.asked == second.asked == 2 * sum(1 + (one.speedup is not None) for one in first.changes if one.time)
