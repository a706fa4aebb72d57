"""Which cases of a family are timed in the time that is left: worked examples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from torchduet.bench.plan.family_time import TimeLeft, leave_out_too_slow, not_begun


@dataclass
class Paced:
    """A case as the plan of a family's time sees it."""

    seconds: float
    on: str = "cpu"
    calls: int = 1
    skip: str | None = None
    too_slow: float | None = None
    device: Any = field(init=False)

    def __post_init__(self) -> None:
        self.device = SimpleNamespace(name=self.on)


def test_the_reference_stays_though_it_is_the_slowest() -> None:
    reference, other, fast = cases = [Paced(1.0), Paced(0.9), Paced(0.1)]
    assert leave_out_too_slow(cases, 7.0, references=[reference]) == [reference, fast]  # 8 × 1.1 s, of 14 s
    assert other.skip is not None
    assert other.skip.startswith("one call takes 0.9 s, so timing its family takes 16.0 s and its share of the budget")
    assert leave_out_too_slow([reference, fast], 1.0 + 1.0, references=[reference]) == [reference]
    assert fast.skip is not None
    assert fast.skip.startswith("one call of its reference takes 1 s, so timing its family takes 8.8 s")
    assert fast.too_slow is None  # larger sizes of it are no slower for that
    assert reference.skip is None


def test_where_not_even_the_reference_fits_nothing_is_timed_for_one_reason() -> None:
    cases = [Paced(19.0), Paced(0.1), Paced(0.2)]
    assert leave_out_too_slow(cases, 30.0, references=cases[:1]) == []
    (reason,) = {case.skip for case in cases}
    assert reason is not None
    assert reason.startswith("one call of its reference takes 19 s, so timing its family takes 152.0 s")
    assert cases[0].too_slow == 19.0
    late = [Paced(1.0), Paced(1.0)]
    assert leave_out_too_slow(late, 30.0, TimeLeft(3.9), references=late[:1]) == []
    assert {case.too_slow for case in late} == {None}
    assert all(str(case.skip).startswith("3.9 s of the run's budget are left for its timing; raise") for case in late)


def test_of_cases_that_take_about_as_long_the_last_are_left_out() -> None:
    cases = [Paced(1.0), Paced(1.02), Paced(0.97), Paced(1.01)]
    assert leave_out_too_slow(cases, 30.0, TimeLeft(13.0), references=cases[:1]) == cases[:2]  # 6 calls of each


def test_the_reference_may_take_the_grace_and_the_others_may_not() -> None:
    reference, other = Paced(2.0), Paced(0.5)
    left = TimeLeft(-5.0, visit=4.0, grace=20.0)
    assert leave_out_too_slow([reference, other], 40.0, left, references=[reference]) == [reference]
    assert str(other.skip).startswith("0.0 s of the run's budget are left for its timing")
    assert leave_out_too_slow([Paced(2.0)], 40.0, left) == []  # it is compared with what failed


def test_what_fits_into_a_visits_timing_is_timed_though_the_budget_is_used_up() -> None:
    pair = [Paced(0.1), Paced(0.2)]
    assert leave_out_too_slow(pair, 40.0, TimeLeft(-5.0, visit=2.0, grace=math.inf), references=pair[:1]) == pair
    assert leave_out_too_slow(pair, 40.0, TimeLeft(-5.0, visit=2.0, grace=6.0), references=pair[:1]) == pair[:1]


def test_a_slow_reference_on_one_device_takes_nothing_from_the_cases_on_another() -> None:
    cpu, cpu_bf16, gpu, gpu_compiled = cases = [Paced(9.0), Paced(1.0), Paced(0.01, "gpu"), Paced(0.01, "gpu")]
    assert leave_out_too_slow(cases, 5.0, references=[cpu, gpu]) == [gpu, gpu_compiled]
    assert cpu.skip == cpu_bf16.skip
    assert "of its reference takes 9 s" in str(cpu.skip)
    slower = [Paced(1.0), Paced(0.01), Paced(0.01, "gpu"), Paced(0.01, "gpu")]
    assert leave_out_too_slow(slower, 3.0, references=[slower[0], slower[2]]) == slower[2:]


def test_the_reason_of_a_call_that_was_not_made_says_what_it_would_take_and_what_took_the_time() -> None:
    assert not_begun({"compiling": 9.2, "checking": 0.01}, 5.1, 9.2, 0.3) == (
        "5.1 s of the run's budget are left after compiling took 9.2 s, too little for its first call (about 9.2 s) "
        "and the timing of the cases before it (about 0.3 s); raise --budget or select fewer cases with -k"
    )
