"""How the time of a visit is divided: worked examples of blocks, turns, rounds, groups, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.plan.family_time import TimeLeft, leave_out_too_slow, out_of_time, too_slow
from torchduet.bench.timing import pacing
from torchduet.bench.timing.pacing import (
    USUAL,
    Pattern,
    Plan,
    core_warm_up_seconds,
    groups,
    plan_of,
    round_seconds,
    rounds_per_placement,
    set_block,
    set_pace,
    set_repeats,
    stretch,
)
from torchduet.bench.timing.stopping import Stopping


@dataclass
class Paced:
    """A case as pacing sees it; a round takes ``repeats`` blocks of ``calls`` calls."""

    seconds: float
    calls: int = 1
    repeats: int = 1
    idle_waiting: bool = False
    on: str = ""
    pattern: Pattern = USUAL
    cold: bool = False
    max_calls: int = 10**6
    warm_up_calls: int = 0
    skip: str | None = None
    too_slow: float | None = None

    def __post_init__(self) -> None:
        self.pacing_seconds = self.seconds

    @property
    def device(self) -> Any:
        return SimpleNamespace(name=self.on, asynchronous=bool(self.on))

    @property
    def round_seconds(self) -> float:
        return self.seconds * self.calls * self.repeats


def test_a_block_has_as_many_calls_as_fit_and_warm_up_calls_where_they_are_short() -> None:
    short, cold, few, long = Paced(1e-5), Paced(1e-5, cold=True), Paced(1e-5, max_calls=7), Paced(0.1)
    for case in (short, cold, few, long):
        set_block(case, case.seconds)
    assert (short.calls, short.warm_up_calls) == (30, 5)  # of 0.3 ms and of 0.05 ms
    assert (cold.calls, cold.warm_up_calls) == (30, 0)
    assert few.calls == 7
    assert (long.calls, long.warm_up_calls) == (1, 0)
    set_block(short, 2e-5)
    assert (short.calls, short.pacing_seconds) == (15, 2e-5)
    set_block(short, 0.0)
    assert short.calls == 300_000


def test_short_blocks_have_turns_by_the_square_root_of_their_cost_where_there_is_time() -> None:
    long, short = Paced(0.1), Paced(1e-3)
    set_repeats([long, short], 100.0)
    assert (long.repeats, short.repeats) == (1, 50)  # a half of the long one each: 0.05 s of 1 ms
    middle = Paced(0.025)
    set_repeats([long, middle], 100.0)
    assert middle.repeats == 2  # the root of 4, a half of which had been 2, too
    many = [Paced(0.1), *(Paced(1e-3) for _ in range(20))]
    set_repeats(many, 100.0)
    assert [case.repeats for case in many[1:3]] == [10, 10]  # the root of 100; together only 4.8
    set_repeats(many, 0.5)  # three placements of 0.3 s do not fit
    assert [case.repeats for case in many[1:3]] == [4, 4]
    assert many[0].repeats == 1
    set_repeats([Paced(10.0), tiny := Paced(1e-6)], 1e9)
    assert tiny.repeats == pacing.MAX_REPEATS


def test_cases_on_each_accelerator_and_those_that_wait_are_apart() -> None:
    cases = [Paced(1.0), Paced(1.0, on="cuda:1"), Paced(1.0, idle_waiting=True), Paced(1.0, on="cuda:0"), Paced(1.0)]
    assert [[cases.index(case) for case in group] for group in groups(cases)] == [[0, 0], [2], [3], [1]]
    assert len(groups(cases[:1])) == 1


def test_groups_are_warmed_for_a_quarter_of_the_time_at_most_and_0_3_s() -> None:
    alone, both = [Paced(1e-3)], [Paced(1e-3), Paced(1e-3, idle_waiting=True)]
    three = [*both, Paced(1e-3, on="cuda:0")]
    assert core_warm_up_seconds(alone, 100.0) == 0.0
    assert core_warm_up_seconds(both, 100.0) == 0.3
    assert core_warm_up_seconds(both, 1.2) == pytest.approx(0.1)  # 0.25 × 1.2 s / 3 placements
    assert core_warm_up_seconds(three, 1.2) == pytest.approx(0.05)  # for two groups that are warmed
    assert core_warm_up_seconds([Paced(1.0, idle_waiting=True)], 9.0) == 0.0


@pytest.mark.parametrize(
    ("one_round", "seconds", "rounds"),
    [
        (0.01, 0.8, 10),  # 8 placements of 0.1 s
        (0.01, 1.6, 10),  # 16 of 0.1 s
        (0.01, 3.2, 20),  # 16 at most: 0.2 s each
        (0.01, 0.9, 10),  # an even number: 9 placements of 0.1 s
        (0.01, 0.88, 10),  # 8.8 placements
        (0.0333, 0.8, 2),  # 3 fit, of which 2 are taken
        (0.1, 0.8, 2),  # 8 placements leave no time for two; three do
        (0.2, 0.8, 1),
        (9.0, 0.8, 1),
        (1e-6, 10.0, 100),
    ],
)
def test_rounds_per_placement(one_round: float, seconds: float, rounds: int) -> None:
    assert rounds_per_placement([Paced(one_round / 1.0001)], seconds) == rounds


def test_the_time_for_warming_groups_is_no_time_for_rounds() -> None:
    both = [Paced(0.05), Paced(0.05, idle_waiting=True)]
    assert rounds_per_placement(both, 0.6) == 1  # 3 placements of 0.2 s, of which 0.05 s warm one group
    assert rounds_per_placement([Paced(0.09)], 0.6) == 2
    assert rounds_per_placement(both, 8.0) == 2  # 13 of 0.6 s: 0.3 s for three rounds


def test_groups_take_placements_in_succession_while_the_time_has_three_parts() -> None:
    alone, both = [Paced(0.01)], [Paced(0.005), Paced(0.005, idle_waiting=True)]
    assert plan_of(alone, 4, 9.0) == Plan(4)
    # A placement takes 4 × 0.01 s and a warm-up of at most 0.3 s: 26 fit into 9 s, and 8 succeed each other; 4 at most.
    assert plan_of(both, 4, 9.0) == Plan(4, 4, 2 * 0.3)
    # Into 2.4 s fit 10 of 0.04 + 0.2 s: three in each part.
    assert plan_of(both, 4, 2.4) == Plan(4, 3, pytest.approx(2 * 0.2))
    # Into 0.3 s fit 4 of 0.04 + 0.025 s: one in each part, with the share of one.
    assert plan_of(both, 4, 0.3) == Plan(4, 1, pytest.approx(0.025))


def test_time_that_the_most_placements_leave_unused_is_filled_with_turns() -> None:
    cases = [Paced(0.01, repeats=2), Paced(0.02)]
    stretch(cases, 5, 16 * 5 * 0.04)  # a round takes 0.04 s
    assert [case.repeats for case in cases] == [2, 1]
    stretch(cases, 5, 16 * 5 * 0.04 * 2.5)
    assert [case.repeats for case in cases] == [6, 3]
    stretch(tiny := [Paced(1e-6)], 5, 1e6)
    assert tiny[0].repeats == pacing.MAX_STRETCH
    stretch(cases, 5, 1e-3)
    assert [case.repeats for case in cases] == [6, 3]


def test_the_pace_of_a_visit_is_all_of_these() -> None:
    cases = [Paced(1e-3, calls=1), Paced(1e-3, calls=1)]
    assert set_pace(cases, 0.8) == Plan(50)
    assert round_seconds(cases) == pytest.approx(2e-3)


def test_the_slowest_cases_are_left_out_until_eight_placements_fit_into_twice_the_share() -> None:
    cases = [Paced(0.1), Paced(2.0), Paced(0.2), Paced(0.9)]
    kept = leave_out_too_slow(cases, 5.0)
    assert [case.seconds for case in kept] == [0.1, 0.2, 0.9]  # 8 × 1.2 s, of 10 s
    assert cases[1].skip is not None
    assert cases[1].skip.startswith("one call takes 2 s, so timing its family takes 25.6 s and its share of the budget")
    assert cases[1].too_slow == 2.0
    assert all(case.skip is None for case in kept)
    assert leave_out_too_slow([Paced(1.25)], 5.0)  # 10 s is not more than twice 5 s


def test_a_case_for_which_too_little_is_left_is_not_said_to_be_slow() -> None:
    (case,) = cases = [Paced(0.5)]
    assert leave_out_too_slow(cases, 5.0, TimeLeft(1.0), {"compiling": 7.0}) == []
    assert case.skip == (
        "1.0 s of the run's budget are left for its timing after compiling took 7.0 s; raise --budget or select fewer "
        "cases with -k"
    )
    assert case.too_slow is None


def test_many_short_cases_are_too_many_and_none_of_them_is_too_slow() -> None:
    cases = [Paced(1 / 128) for _ in range(200)]
    kept = leave_out_too_slow(cases, 5.0)
    assert len(kept) == 160  # 8 / 128 s each, in 10 s
    left = cases[-1]  # the first to be left out of those that take as long
    assert left.skip is not None
    assert left.skip.startswith("its family has 200 cases, so timing its family takes 12.5 s and its share")
    assert left.too_slow is None


def test_the_two_longest_stages_are_named_and_no_short_ones() -> None:
    stages = {"importing": 1.0, "warming": 3.0, "compiling": 2.0, "checking": 0.05, "timed": 99.0}
    assert out_of_time(stages, 0.5).startswith(
        "0.5 s of the run's budget are left for its timing after first calls and warming up took 3.0 s and compiling "
        "took 2.0 s; raise"
    )
    assert "after its inputs and the check in float64 took 0.1 s; raise" in out_of_time({"checking": 0.12}, 0.5)
    assert out_of_time({"checking": 0.05}, 0.5).startswith("0.5 s of the run's budget are left for its timing; raise")


def test_the_cause_of_a_skip_is_the_call_unless_it_is_short() -> None:
    assert too_slow(2.0, 20.0, 5.0).startswith("one call takes 2 s")
    assert too_slow(0.07, 20.0, 5.0, 40).startswith("one call takes 0.07 s")  # 8 × 0.07 s is a tenth of 5 s and more
    assert too_slow(0.06, 20.0, 5.0, 40).startswith("its family has 40 cases")
    assert too_slow(0.06, 20.0, 5.0, 1).startswith("one call takes 0.06 s")


class Watch:
    """A clock for the stopping rule."""

    def __init__(self, seconds: float = 10.0, **limits: Any) -> None:
        self.now, self.asked = 100.0, False
        self.rule = Stopping(seconds, now=lambda: self.now, stop_requested=lambda: self.asked, **limits)
        self.rule.start()

    def after(self, seconds: float, placements: int) -> str | None:
        self.now += seconds
        self.rule.add(placements)
        return self.rule.finished()


def test_a_visit_ends_with_its_time_after_three_placements_or_with_sixteen() -> None:
    assert [Watch().after(seconds, 3) for seconds in (9.9, 10.0)] == [None, "budget"]
    assert [Watch().after(1.0, placements) for placements in (15, 16)] == [None, "limit"]
    assert [Watch().after(10.0, placements) for placements in (2, 3)] == [None, "budget"]
    assert [Watch().after(seconds, 1) for seconds in (29.9, 30.0)] == [None, "budget"]  # three times its time


def test_a_request_to_stop_comes_before_everything_else() -> None:
    watch = Watch()
    assert not watch.rule.must_end()
    watch.asked = True
    assert watch.after(99.0, 20) == "interrupted"
    assert watch.rule.must_end()
    late = Watch()
    late.now += 30.0
    assert late.rule.must_end()


def test_groups_take_as_many_placements_as_the_time_allows_and_what_is_missing_to_three() -> None:
    watch = Watch()
    assert watch.rule.room_for(4) == 4  # nothing is known of their length
    watch.after(4.0, 2)
    assert watch.rule.room_for(4) == 3  # 6 s are left, of 2 s each
    assert watch.rule.room_for(2) == 2
    slow = Watch()
    slow.after(9.0, 1)
    assert slow.rule.room_for(4) == 2  # none fits; two are missing
    done = Watch()
    done.after(20.0, 8)
    assert done.rule.room_for(4) == 1
    short = Watch()
    short.after(20.0, 200)
    assert short.rule.room_for(4) == 1  # its time is over, however short a placement is
