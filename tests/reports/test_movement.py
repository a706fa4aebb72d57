"""How much the machine itself moved, by worked examples: which pilots count for a case, and with which sign."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.record.statistics import Interval
from torchduet.reports.shifts.guards import Guards, stand_ins
from torchduet.reports.shifts.movement import (
    Movement,
    by_pilots,
    by_visits,
    levels,
    longer,
    pilots_around,
    pilots_beside,
    stand_in,
)
from torchduet.reports.shifts.question import Question

LOG2 = math.log(2)


def kinds(**seconds: float) -> dict[str, float]:
    return seconds


def test_the_range_goes_from_the_least_quotient_of_times_to_the_greatest() -> None:
    base = [kinds(memory=2.0), kinds(memory=4.0)]
    new = [kinds(memory=1.0), kinds(memory=16.0)]
    # base / new: at least 2/16, at most 4/1.
    found = by_pilots(base, new, {})
    assert found is not None
    assert found.low == pytest.approx(-3 * LOG2)
    assert found.high == pytest.approx(2 * LOG2)
    assert found.in_words == "the memory pilot beside it took 700 % longer"


def test_a_machine_that_only_became_faster_may_have_moved_by_nothing_at_least() -> None:
    found = by_pilots([kinds(calls=4.0)], [kinds(calls=1.0)], {})
    assert found == Movement(0.0, 2 * LOG2, "the calls pilot beside it")
    assert found.in_words == "the calls pilot beside it took 75 % less"


def test_the_kind_that_moved_most_is_named_and_the_ranges_of_all_are_joined() -> None:
    base, new = kinds(calls=1.0, memory=1.0, arithmetic=1.0), kinds(calls=2.0, memory=0.25, arithmetic=1.0)
    found = by_pilots([base], [new], {})
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(-LOG2), pytest.approx(2 * LOG2))
    assert found.source == "the memory pilot beside it"
    other = by_visits([base], [new], {})
    assert other == Movement(found.low, found.high, "the memory pilot around its visits")


def test_a_second_kind_that_moved_the_other_way_but_less_is_not_named() -> None:
    base, new = kinds(calls=8.0, memory=1.0), kinds(calls=1.0, memory=2.0)
    for found, beside in (
        (by_pilots([base], [new], {}), "beside it"),
        (by_visits([base], [new], {}), "around its visits"),
    ):
        assert found is not None
        assert (found.low, found.high) == (pytest.approx(-LOG2), pytest.approx(3 * LOG2))
        assert found.source == f"the calls pilot {beside}"


def test_a_kind_that_only_one_run_has_says_nothing() -> None:
    assert by_pilots([kinds(calls=1.0, gpu=9.0)], [kinds(calls=1.0)], {}) == Movement(0, 0, "the calls pilot beside it")
    assert by_pilots([kinds(gpu=9.0)], [kinds(calls=1.0)], {}) is None
    assert by_visits([], [kinds(calls=1.0)], {}) is None


def test_a_burst_beside_a_single_visit_is_no_movement_between_runs() -> None:
    base = [kinds(memory=2.0)] * 3
    new = [kinds(memory=1.0), kinds(memory=1.0), kinds(memory=64.0)]
    assert by_visits(base, new, {}) == Movement(0.0, pytest.approx(LOG2), "the memory pilot around its visits")


def test_between_machines_the_difference_in_their_level_is_subtracted() -> None:
    # The new machine takes half the time; beside this family it takes an eighth.
    level = {"memory": LOG2}
    fast = by_pilots([kinds(memory=8.0)], [kinds(memory=1.0)], level)
    usual = by_pilots([kinds(memory=2.0)], [kinds(memory=1.0)], level)
    visited = by_visits([kinds(memory=8.0)], [kinds(memory=1.0)], level)
    assert fast is not None
    assert usual is not None
    assert visited is not None
    assert (fast.low, fast.high) == (0.0, pytest.approx(2 * LOG2))
    assert (usual.low, usual.high) == (pytest.approx(0.0), pytest.approx(0.0))
    assert (visited.low, visited.high) == (0.0, pytest.approx(2 * LOG2))


def test_the_level_is_the_median_over_families_of_base_over_new() -> None:
    base = {name: [kinds(memory=seconds)] for name, seconds in (("a", 2.0), ("b", 4.0), ("c", 64.0), ("gone", 9.0))}
    new = {name: [kinds(memory=1.0)] for name in "abc"}
    assert levels(base, new) == {"memory": pytest.approx(2 * LOG2)}


def test_a_range_is_extended_to_a_further_movement_and_keeps_the_rest() -> None:
    own = Movement(-0.1, 0.2, "the pilot")
    assert own.extended_to(0.5, "all others") == Movement(-0.1, 0.5, "all others")
    assert own.extended_to(-0.15, "all others") == Movement(-0.15, 0.2, "the pilot")
    assert own.extended_to(0.05, "all others") == own
    assert Movement(-0.3, 0.2, "").furthest == -0.3
    assert own.furthest == 0.2


def test_a_shift_in_words_is_a_change_of_time() -> None:
    assert longer(-math.log(1.041)) == "4.1 % longer"
    assert longer(math.log(1 / 0.97)) == "3 % less"


def test_what_stands_in_for_pilots_spans_both_shifts_and_none() -> None:
    assert stand_in(0.1, -0.2, "its reference") == Movement(-0.2, 0.1, "all families in the median")
    assert stand_in(0.3, 0.2, "its reference") == Movement(0.0, 0.3, "its reference")
    assert stand_in(None, 0.2, "its reference") is None


def pilot(at: float, before: str, **seconds: float) -> Any:
    return {"at": at, "before": before, "seconds": seconds}


def test_beside_a_family_are_the_pilots_right_before_and_right_after_it() -> None:
    pilots = [pilot(20.0, "b", calls=3.0), pilot(10.0, "a", calls=1.0), pilot(30.0, "", calls=5.0)]
    beside = pilots_beside(pilots)
    assert beside["a"] == [{"calls": 1.0}, {"calls": 3.0}]
    assert beside["b"] == [{"calls": 3.0}, {"calls": 5.0}]


def test_around_a_visit_is_the_mean_of_the_logarithms_of_the_last_before_and_the_next() -> None:
    pilots = [pilot(10.0, "a", calls=1.0), pilot(20.0, "b", calls=4.0), pilot(30.0, "", calls=16.0)]
    around = pilots_around(pilots, {"a": [12.0, 25.0], "b": [5.0, 20.0, 40.0]})
    assert [one["calls"] for one in around["a"]] == pytest.approx([2.0, 8.0])
    assert [one["calls"] for one in around["b"]] == pytest.approx([1.0, 8.0, 16.0])
    assert pilots_around([], {"a": [1.0]}) == {}


def run(*pilots: Any) -> Any:
    """A run without visits that has these pilots."""
    return SimpleNamespace(about={"pilots": list(pilots)}, records=[])


def guards(base: Any, new: Any, *, another_machine: bool = False) -> Guards:
    return Guards(base, new, another_machine=another_machine)


HOST = {"calls": 1.0}
GPU = "cuda:0 memory"


def test_a_gpus_pilots_say_nothing_on_the_cpu() -> None:
    base, new = run(pilot(1.0, "f", calls=1.0, **{GPU: 1.0})), run(pilot(1.0, "f", calls=1.0, **{GPU: 4.0}))
    found = guards(base, new).of_families([("f", "cpu"), ("f", "cuda:0")])
    assert found["f", "cpu"] == Movement(0.0, 0.0, "the calls pilot beside it")
    assert found["f", "cuda:0"].low == pytest.approx(-2 * LOG2)


def test_only_between_machines_is_the_level_of_the_pilots_part_of_the_question() -> None:
    base = run(pilot(1.0, "a", calls=2.0), pilot(2.0, "b", calls=2.0), pilot(3.0, "", calls=2.0))
    new = run(pilot(1.0, "a", calls=1.0), pilot(2.0, "b", calls=1.0), pilot(3.0, "", calls=1.0))
    same = guards(base, new).of_families([("a", "cpu")])["a", "cpu"]
    other = guards(base, new, another_machine=True).of_families([("a", "cpu")])["a", "cpu"]
    assert (same.low, same.high) == (0.0, pytest.approx(LOG2))
    assert (other.low, other.high) == (0.0, 0.0)


def asked(unit: str, point: float, withheld: str = "") -> Question:
    return Question(unit, Interval(point, point, point), 0.02, placements=9, withheld=withheld)


OF_GPU = "all other families on cuda:0 in the median"


def test_what_all_other_families_of_a_gpu_share_extends_what_its_pilots_show_and_excuses_no_cpu() -> None:
    still = guards(run(), run())
    questions = {"it": asked("f", 0.9), "one": asked("g", -0.3), "two": asked("h", -0.2), "host": asked("f", 0.9)}
    devices = {"it": "cuda:0", "one": "cuda:0", "two": "cuda:0", "host": "cpu"}
    pilots = dict.fromkeys(questions, Movement(-0.05, 0.4, "the pilot"))
    found = still.with_their_devices(pilots, questions, devices)
    assert "host" not in found
    assert found["it"] == Movement(-0.25, 0.4, "the pilot")  # the median of −0.3 and −0.2; its own 0.9 does not count
    assert found["one"] == Movement(-0.05, pytest.approx(0.4), "the pilot")  # of 0.9 and −0.2: within the pilots'
    questions = {"it": asked("f", 0.9), "one": asked("g", -0.7), "no": asked("h", 9.0, withheld="it waited")}
    devices = dict.fromkeys(questions, "cuda:0")
    found = still.with_their_devices(dict.fromkeys(questions, pilots["it"]), questions, devices)
    assert found["it"] == Movement(-0.7, 0.4, OF_GPU)
    assert found["no"] == Movement(-0.05, 0.4, "the pilot")  # the median of 0.9 and −0.7
    assert guards(run(), run(), another_machine=True).with_their_devices(pilots, questions, devices) == {}


def test_the_shift_of_one_gpu_says_nothing_on_another() -> None:
    questions = {"it": asked("f", 0.1), "other": asked("g", -0.8)}
    devices = {"it": "cuda:0", "other": "cuda:1"}
    pilots = dict.fromkeys(questions, Movement(0.0, 0.0, "the pilot"))
    assert guards(run(), run()).with_their_devices(pilots, questions, devices) == {}


def record(family: str, device: str, against: str = "") -> Any:
    speedups = [{"knob": "mode", "against": "no"}, {"knob": "reference", "against": against}] if against else []
    return {"case": {"family": family, "device": device}, "speedups": speedups}


def test_a_case_without_pilots_has_its_reference_and_a_reference_what_was_timed_with_it() -> None:
    records = {
        "ref": record("f", "cpu"),
        "case": record("f", "cpu", "ref"),
        "third": record("f", "cpu", "gone"),
        "gpu": record("f", "cuda:0", "ref"),
        "alone": record("g", "cpu"),
    }
    shifts = {"ref": 0.1, "case": 0.5, "third": 0.3, "gpu": 0.7, "alone": 0.05}
    questions = {case: asked(records[case]["case"]["family"], shift) for case, shift in shifts.items()}
    # Common: the median of f's median of 0.1, 0.5, 0.3, 0.7 and g's 0.05, (0.4 + 0.05) / 2.
    common = 0.225
    found = dict(stand_ins(list(records), questions, records, None))
    assert found["case"] == Movement(0.0, pytest.approx(common), "all families in the median")
    assert found["ref"] == Movement(0.0, pytest.approx(0.4), "what was timed together with it")  # of 0.5 and 0.3
    assert found["third"] == Movement(0.0, pytest.approx(0.3), "what was timed together with it")
    assert found["gpu"] is None  # its reference runs on another device, and nothing else on its own
    assert found["alone"] is None


def test_of_two_kinds_that_moved_alike_the_first_is_named() -> None:
    for base, new in ((1.0, 2.0), (2.0, 1.0)):
        both = [kinds(calls=base, memory=base)], [kinds(calls=new, memory=new)]
        pilots, visits = by_pilots(*both, {}), by_visits(*both, {})
        assert pilots is not None
        assert visits is not None
        assert (pilots.source, visits.source) == ("the calls pilot beside it", "the calls pilot around its visits")


def test_a_second_kind_that_moved_the_same_way_but_less_is_not_named() -> None:
    slow, fast = kinds(calls=8.0, memory=2.0), kinds(calls=1.0, memory=1.0)
    for first, second, low, high in ((slow, fast, 0.0, 3 * LOG2), (fast, slow, -3 * LOG2, 0.0)):
        for found, beside in (
            (by_pilots([first], [second], {}), "beside it"),
            (by_visits([first], [second], {}), "around its visits"),
        ):
            assert found is not None
            assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
            assert found.source == f"the calls pilot {beside}"


def test_the_level_of_a_family_is_the_median_of_its_pilots() -> None:
    base = {"a": [kinds(memory=seconds) for seconds in (4.0, 4.0, 4096.0)]}
    new = {"a": [kinds(memory=seconds) for seconds in (2.0, 2.0, 1024.0, 2.0, 2048.0)]}
    assert levels(base, new) == {"memory": pytest.approx(LOG2)}


def test_either_end_of_the_range_is_less_the_level() -> None:
    base, new = [kinds(memory=2.0), kinds(memory=4.0)], [kinds(memory=8.0), kinds(memory=16.0)]
    # base / new: from 2/16 to 4/8, of which a half is the machines' difference.
    found = by_pilots(base, new, {"memory": -LOG2})
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(-2 * LOG2), pytest.approx(0.0))
    burst = [kinds(memory=2.0), kinds(memory=2.0), kinds(memory=64.0)]
    visits = by_visits(burst, [kinds(memory=8.0)], {"memory": -LOG2})
    assert visits is not None
    assert (visits.low, visits.high) == (pytest.approx(-LOG2), 0.0)


def test_a_kind_that_moved_less_either_way_is_not_named_after_one_that_became_slower() -> None:
    base = [kinds(calls=1.0, memory=1.0)]
    for memory in (2.0, 0.5):
        found = by_pilots(base, [kinds(calls=8.0, memory=memory)], {})
        assert found is not None
        assert found.source == "the calls pilot beside it"
    # The second kind became slower by more than the first became faster.
    found = by_pilots(base, [kinds(calls=0.5, memory=8.0)], {})
    assert found is not None
    assert found.source == "the memory pilot beside it"


def test_where_both_ways_are_as_far_the_first_is_told() -> None:
    both = Movement(-0.2, 0.2, "the pilot")
    assert both.furthest == 0.2
    assert both.extended_to(-0.2, "all others").source == both.extended_to(0.2, "all others").source == "the pilot"
    assert stand_in(0.2, -0.2, "its reference") == Movement(-0.2, 0.2, "its reference")
    assert longer(0.0).endswith(" less")
