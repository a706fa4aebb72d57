"""A visit ends with its time, after three to sixteen placements; pacing makes use of the time."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.plan.family_time import TimeLeft, leave_out_too_slow
from torchduet.bench.record.statistics import wanted
from torchduet.bench.timing.pacing import (
    AIM_PLACEMENTS,
    CORE_WARM_UP_SECONDS,
    CORE_WARM_UP_SHARE,
    FEW_ROUNDS,
    MAX_ROUNDS,
    MAX_STRETCH,
    MAX_TOGETHER,
    PLACEMENT_SECONDS,
    Plan,
    core_warm_up_seconds,
    groups,
    plan_of,
    rounds_per_placement,
    set_repeats,
    stretch,
)
from torchduet.bench.timing.stopping import MAX_VISIT_PLACEMENTS, MIN_VISIT_PLACEMENTS, OVERDRAWN, Stopping
from torchduet.bench.timing.timed_case import TimedCase


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_at_least_three_placements_however_late() -> None:
    clock = Clock()
    stopping = Stopping(1.0, now=clock)
    stopping.start()
    clock.now = 0.9 + OVERDRAWN
    for _ in range(MIN_VISIT_PLACEMENTS - 1):
        stopping.add()
        assert stopping.finished() is None
    stopping.add()
    assert stopping.finished() == "budget"


def test_calls_that_became_far_slower_do_not_take_the_others_time() -> None:
    clock = Clock()
    stopping = Stopping(1.0, now=clock)
    stopping.start()
    stopping.add()
    clock.now = 0.9 + OVERDRAWN
    assert stopping.finished() is None
    assert not stopping.must_end()
    clock.now = 1.0 + OVERDRAWN
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


def run(seconds: float, calls: int = 1, device: str = "cpu") -> TimedCase:
    prepared: Any = SimpleNamespace(case=SimpleNamespace(device=device))
    clock: Any = SimpleNamespace(needs_lead_in=device != "cpu")
    return TimedCase(prepared, clock, calls=calls, seconds=seconds, pacing_seconds=seconds)


def test_nothing_is_begun_that_would_outlast_the_run() -> None:
    one, other = run(0.1), run(0.2)
    assert leave_out_too_slow([one, other], seconds=2.0) == [one, other]
    assert leave_out_too_slow([one, other], seconds=2.0, left=TimeLeft(1.0)) == [one]
    assert other.skip is not None
    assert leave_out_too_slow([one], seconds=2.0, left=TimeLeft(0.5)) == []


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
    all_placements = MAX_VISIT_PLACEMENTS * MAX_ROUNDS * sum(each.round_seconds for each in runs)
    seconds = (MAX_STRETCH - 1.5) * all_placements
    set_repeats(runs, seconds)
    rounds = rounds_per_placement(runs, seconds)
    assert rounds == MAX_ROUNDS
    stretch(runs, rounds, seconds)
    assert runs[0].repeats == runs[1].repeats > 1
    whole = MAX_VISIT_PLACEMENTS * rounds * sum(each.round_seconds for each in runs)
    assert seconds <= whole < seconds + all_placements
    few = [run(1e-5, calls=20), run(2e-5, calls=10)]
    stretch(few, rounds, 0.9 * all_placements)
    assert [each.repeats for each in few] == [1, 1]
    stretch(few, rounds, 1000 * all_placements)
    assert [each.repeats for each in few] == [MAX_STRETCH] * 2


def test_rounds_leave_time_for_many_placements() -> None:
    generator = random.Random(0)
    for _ in range(200):
        runs = [run(10 ** generator.uniform(-6, 0)) for _ in range(4)]
        seconds = 10 ** generator.uniform(-1, 2)
        rounds = rounds_per_placement(runs, seconds)
        assert 1 <= rounds <= MAX_ROUNDS
        assert rounds == 1 or rounds % 2 == 0
        placement = rounds * sum(each.round_seconds for each in runs)
        if rounds > FEW_ROUNDS:  # as many placements as there is time for, so that no round need be left out
            assert placement * AIM_PLACEMENTS <= seconds * 1.01
            assert placement <= max(PLACEMENT_SECONDS, seconds / MAX_VISIT_PLACEMENTS) * 1.01
        elif rounds > 1:
            assert placement * MIN_VISIT_PLACEMENTS <= seconds * 1.01


def test_of_long_calls_more_placements_rather_than_more_rounds() -> None:
    pair = [run(0.05), run(0.05)]
    one_round = sum(each.round_seconds for each in pair)
    assert rounds_per_placement(pair, 1.1 * AIM_PLACEMENTS * FEW_ROUNDS * one_round) == FEW_ROUNDS
    assert rounds_per_placement(pair, 1.1 * MAX_VISIT_PLACEMENTS * FEW_ROUNDS * one_round) == FEW_ROUNDS
    assert rounds_per_placement(pair, 2.1 * MAX_VISIT_PLACEMENTS * FEW_ROUNDS * one_round) == 2 * FEW_ROUNDS


def test_two_rounds_of_long_calls_where_three_placements_have_time_for_them_else_one() -> None:
    pair = [run(0.05), run(0.05)]
    one_round = sum(each.round_seconds for each in pair)
    assert rounds_per_placement(pair, 1.1 * MIN_VISIT_PLACEMENTS * FEW_ROUNDS * one_round) == FEW_ROUNDS
    assert rounds_per_placement(pair, 1.1 * MIN_VISIT_PLACEMENTS * one_round) == 1
    assert rounds_per_placement(pair, 0.1 * one_round) == 1


def test_more_turns_than_that_for_the_short_where_there_is_time() -> None:
    runs = [run(0.02) for _ in range(10)] + [run(0.2)]
    set_repeats(runs, 60.0)
    assert [each.repeats for each in runs] == [3] * 10 + [1]
    set_repeats(runs, 0.7 * MIN_VISIT_PLACEMENTS)  # rounds of 0.4 s fit that often, rounds of 0.8 s do not
    assert [each.repeats for each in runs] == [1] * 11


def test_what_is_timed_alike_has_as_many_turns() -> None:
    one, twin = run(0.03), run(0.045)
    one.pacing_seconds = twin.pacing_seconds = 0.03
    set_repeats([one, twin, run(0.2)], 60.0)
    assert one.repeats == twin.repeats == 2


def test_waking_the_cores_counts_as_time_of_a_placement() -> None:
    busy, resting = run(0.01), run(0.05)
    placement, one_round = 2.5, busy.round_seconds + resting.round_seconds
    seconds = placement * MAX_VISIT_PLACEMENTS
    longest = rounds_per_placement([busy, resting], seconds)
    assert longest * one_round <= placement < (longest + 2) * one_round
    resting.idle_waiting = True
    warm_up = core_warm_up_seconds([busy, resting], seconds)
    assert warm_up == CORE_WARM_UP_SECONDS
    rounds = rounds_per_placement([busy, resting], seconds)
    assert rounds * one_round <= placement - warm_up < (rounds + 2) * one_round
    set_repeats([busy, resting], seconds)
    assert (busy.repeats, resting.repeats) == (4, 1)


def test_waking_leaves_time_for_the_fewest_placements() -> None:
    busy, resting = run(0.001), run(0.01)
    assert core_warm_up_seconds([busy, resting], 100.0) == 0.0
    resting.idle_waiting = True
    assert core_warm_up_seconds([busy, resting], 100.0) == CORE_WARM_UP_SECONDS
    assert MIN_VISIT_PLACEMENTS * core_warm_up_seconds([busy, resting], 0.4) == pytest.approx(CORE_WARM_UP_SHARE * 0.4)


def test_where_some_rest_placements_follow_each_other() -> None:
    busy, resting = run(0.01), run(0.05)
    assert plan_of([busy, resting], 2, 100.0) == Plan(2)
    resting.idle_waiting = True
    assert plan_of([busy, resting], 2, 100.0) == Plan(2, MAX_TOGETHER, pytest.approx(2 * CORE_WARM_UP_SECONDS))
    for seconds, consecutive in ((3.0, 2), (1.0, 1)):  # parts enough to hold the two groups against each other
        warm_up = CORE_WARM_UP_SHARE * seconds / MIN_VISIT_PLACEMENTS
        plan = plan_of([busy, resting], 2, seconds)
        assert plan == Plan(2, consecutive, pytest.approx(consecutive * warm_up))
        placement = 2 * (busy.round_seconds + resting.round_seconds) + warm_up
        assert seconds / (plan.consecutive * placement) >= MIN_VISIT_PLACEMENTS


def test_cases_on_a_gpu_have_placements_apart_from_those_that_let_it_idle() -> None:
    cpu, gpu, other_gpu, resting = run(0.01), run(0.01, device="cuda"), run(0.01, device="cuda:1"), run(0.01)
    resting.idle_waiting = True
    assert groups([gpu, cpu, resting, other_gpu]) == [[cpu], [resting], [gpu], [other_gpu]]
    assert len(groups([gpu, run(0.02, device="cuda")])) == len(groups([cpu, run(0.02)])) == 1


def test_each_group_is_warmed_and_all_of_it_counts_as_time_of_a_placement() -> None:
    cpu, gpu = run(0.01), run(0.01, device="cuda")
    one_round = cpu.round_seconds + gpu.round_seconds
    plan = plan_of([cpu, gpu], 2, 100.0)
    assert plan == Plan(2, MAX_TOGETHER, pytest.approx(2 * CORE_WARM_UP_SECONDS))
    seconds = 2.5 * MAX_VISIT_PLACEMENTS
    rounds = rounds_per_placement([cpu, gpu], seconds)
    assert rounds * one_round <= 2.5 - 2 * CORE_WARM_UP_SECONDS < (rounds + 2) * one_round
    both = 2 * core_warm_up_seconds([cpu, gpu], 0.4)
    assert MIN_VISIT_PLACEMENTS * both == pytest.approx(CORE_WARM_UP_SHARE * 0.4)
    assert core_warm_up_seconds([gpu, run(0.02, device="cuda")], 100.0) == 0.0


def test_as_many_placements_follow_each_other_as_there_is_time_for() -> None:
    clock = Clock()
    stopping = Stopping(25.0, now=clock)
    stopping.start()
    assert stopping.room_for(4) == 4
    clock.now = 20.0
    stopping.add(1)
    assert stopping.room_for(4) == MIN_VISIT_PLACEMENTS - 1  # so many there are to be, even if each takes 20 s
    stopping.add(11)
    assert stopping.room_for(4) == 3  # 5 s left, and one took 1.7 s
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
    assert leave_out_too_slow([short], seconds=2.0, left=TimeLeft(0.0), stages=stages) == []
    assert short.skip == (
        "0.0 s of the run's budget are left for its timing after compiling took 12.0 s and its inputs and the check in "
        "float64 took 3.0 s; raise --budget or select fewer cases with -k"
    )
    assert short.too_slow is None  # larger sizes are tried
