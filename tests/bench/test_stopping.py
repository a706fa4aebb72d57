"""A visit ends with its time, after three to sixteen placements; pacing makes use of the time."""

import random

import pytest

from torchduet.bench.record.statistics import wanted
from torchduet.bench.timing.pacing import (
    Plan,
    core_warm_up_seconds,
    leave_out_too_slow,
    plan_of,
    rounds_per_placement,
    set_repeats,
    stretch,
)
from torchduet.bench.timing.stopping import MAX_VISIT_PLACEMENTS, Stopping
from torchduet.bench.timing.timed_case import TimedCase


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_at_least_three_placements_however_late() -> None:
    clock = Clock()
    stopping = Stopping(1.0, now=clock)
    stopping.start()
    clock.now = 2.9
    for _ in range(2):
        stopping.add()
        assert stopping.finished() is None
    stopping.add()
    assert stopping.finished() == "budget"


def test_calls_that_became_far_slower_do_not_take_the_others_time() -> None:
    clock = Clock()
    stopping = Stopping(1.0, now=clock)
    stopping.start()
    stopping.add()
    clock.now = 2.9
    assert stopping.finished() is None
    assert not stopping.must_end()
    clock.now = 3.0
    assert stopping.must_end()
    assert stopping.finished() == "budget"


def test_placements_that_follow_each_other_count_each() -> None:
    stopping = Stopping(1.0, max_placements=8, now=Clock(), stop_requested=lambda: asked)
    asked = False
    stopping.start()
    stopping.add(4)
    assert stopping.finished() is None
    stopping.add(4)
    assert stopping.finished() == "limit"
    asked = True
    assert stopping.must_end()


def test_a_large_effect_needs_less_precision_whichever_side_it_is_on() -> None:
    assert wanted(0.0) == wanted(0.05) == 0.01
    assert wanted(0.15) == wanted(-0.15) == pytest.approx(0.015)
    assert wanted(5.0) == wanted(-5.0) == 0.02


def test_it_ends_with_the_time_or_with_enough_placements() -> None:
    clock = Clock()
    stopping = Stopping(1.0, now=clock)
    stopping.start()
    stopping.add(8)
    assert stopping.finished() is None
    clock.now = 1.0
    assert stopping.finished() == "budget"
    patient = Stopping(1e9, max_placements=12, now=clock)
    patient.start()
    patient.add(12)
    assert patient.finished() == "limit"


def run(seconds: float, calls: int = 1) -> TimedCase:
    return TimedCase(prepared=None, clock=None, calls=calls, seconds=seconds, pacing_seconds=seconds)  # type: ignore[arg-type]


def test_nothing_is_begun_that_would_outlast_the_run() -> None:
    one, other = run(0.1), run(0.2)
    assert leave_out_too_slow([one, other], seconds=2.0) == [one, other]
    assert leave_out_too_slow([one, other], seconds=2.0, max_seconds=1.0) == [one]
    assert other.skip is not None
    assert leave_out_too_slow([one], seconds=2.0, max_seconds=0.5) == []


def test_what_cannot_be_timed_in_the_budget_is_left_out_with_its_time() -> None:
    fast, slow = run(1e-3), run(7.0)
    assert leave_out_too_slow([fast, slow], seconds=2.0) == [fast]
    assert fast.skip is None
    assert slow.skip is not None
    assert "one call takes 7 s" in slow.skip
    assert "--budget" in slow.skip


def test_short_blocks_take_several_turns_beside_a_long_one() -> None:
    runs = [run(1e-3), run(1e-6, calls=1000), run(0.2)]
    set_repeats(runs, 60.0)
    assert [each.repeats for each in runs] == [50, 50, 1]
    alike = [run(1e-3), run(1.4e-3), run(1e-6, calls=1000)]
    set_repeats(alike, 60.0)
    assert [each.repeats for each in alike] == [1, 1, 1]


def test_time_beyond_the_most_placements_goes_into_more_turns() -> None:
    runs = [run(1e-5, calls=20), run(2e-5, calls=10)]
    set_repeats(runs, 30.0)
    rounds = rounds_per_placement(runs, 30.0)
    stretch(runs, rounds, 30.0)
    assert runs[0].repeats == runs[1].repeats > 1
    whole = MAX_VISIT_PLACEMENTS * rounds * sum(each.round_seconds for each in runs)
    assert 30.0 <= whole < 60.0
    few = [run(1e-5, calls=20), run(2e-5, calls=10)]
    stretch(few, rounds, 1.0)
    assert [each.repeats for each in few] == [1, 1]


def test_rounds_leave_time_for_many_placements() -> None:
    generator = random.Random(0)
    for _ in range(100):
        runs = [run(10 ** generator.uniform(-6, 0)) for _ in range(4)]
        seconds = generator.uniform(0.5, 60)
        rounds = rounds_per_placement(runs, seconds)
        assert 1 <= rounds <= 100
        assert rounds == 1 or rounds % 2 == 0
        if rounds > 1:
            assert rounds * sum(each.round_seconds for each in runs) * 8 <= seconds * 1.01


def test_of_long_calls_more_placements_rather_than_more_rounds() -> None:
    assert rounds_per_placement([run(0.05), run(0.05)], 8.0) == 2
    assert rounds_per_placement([run(0.05), run(0.05)], 0.9) == 1


def test_more_turns_than_that_for_the_short_where_there_is_time() -> None:
    runs = [run(0.02) for _ in range(10)] + [run(0.2)]
    set_repeats(runs, 60.0)
    assert [each.repeats for each in runs] == [3] * 10 + [1]
    set_repeats(runs, 4.0)  # 8 rounds of 0.4 s fit, 8 of 0.8 s do not
    assert [each.repeats for each in runs] == [1] * 11


def test_what_is_timed_alike_has_as_many_turns() -> None:
    one, twin = run(0.03), run(0.045)
    one.pacing_seconds = twin.pacing_seconds = 0.03
    set_repeats([one, twin, run(0.2)], 60.0)
    assert one.repeats == twin.repeats == 2


def test_waking_the_cores_counts_as_time_of_a_placement() -> None:
    busy, resting = run(0.01), run(0.05)
    assert rounds_per_placement([busy, resting], 40.0) == 10
    resting.idle_waiting = True
    assert rounds_per_placement([busy, resting], 40.0) == 4
    set_repeats([busy, resting], 40.0)
    assert (busy.repeats, resting.repeats) == (4, 1)


def test_waking_leaves_time_for_eight_placements() -> None:
    busy, resting = run(0.001), run(0.01)
    assert core_warm_up_seconds([busy, resting], 100.0) == 0.0
    resting.idle_waiting = True
    assert core_warm_up_seconds([busy, resting], 100.0) == 0.3
    assert 8 * core_warm_up_seconds([busy, resting], 0.4) == pytest.approx(0.1)


def test_where_some_rest_placements_follow_each_other() -> None:
    busy, resting = run(0.01), run(0.05)
    assert plan_of([busy, resting], 2, 100.0) == Plan(2)
    resting.idle_waiting = True
    assert plan_of([busy, resting], 2, 100.0) == Plan(2, 4, pytest.approx(0.6))  # 0.42 s each, with waking
    assert plan_of([busy, resting], 2, 8.0) == Plan(2, 2, pytest.approx(0.5))
    assert plan_of([busy, resting], 2, 2.0) == Plan(2, 1, pytest.approx(0.0625))


def test_as_many_placements_follow_each_other_as_there_is_time_for() -> None:
    clock = Clock()
    stopping = Stopping(25.0, now=clock)
    stopping.start()
    assert stopping.room_for(4) == 4
    clock.now = 20.0
    stopping.add([(0.5, 0.0)], 4)
    assert stopping.room_for(4) == 4  # there are to be eight
    stopping.add([(0.5, 0.0)], 5)
    assert stopping.room_for(4) == 2  # 5 s left, and one took 2.2 s
    clock.now = 30.0
    assert stopping.room_for(4) == 1


def test_a_short_call_is_never_called_too_long() -> None:
    short = [run(2.5e-6, calls=80) for _ in range(600)]
    kept = leave_out_too_slow(short, seconds=0.4)
    reasons = {case.skip for case in short if case.skip is not None}
    assert 0 < len(kept) < 600
    assert all(reason.startswith("its family has ") and "one call" not in reason for reason in reasons)
    assert not any(case.too_slow for case in short)


def test_what_took_the_time_is_named_where_too_little_is_left() -> None:
    short = run(2.5e-6, calls=80)
    stages = {"importing": 2.0, "compiling": 12.04, "checking": 3.0, "warming": 0.01}
    assert leave_out_too_slow([short], seconds=2.0, max_seconds=0.0, stages=stages) == []
    assert short.skip == (
        "0.0 s of the run's budget are left for its timing after compiling took 12.0 s and its inputs and the check in "
        "float64 took 3.0 s; raise --budget or select fewer cases with -k"
    )
    assert short.too_slow is None  # larger sizes are tried
