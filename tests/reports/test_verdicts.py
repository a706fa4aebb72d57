"""Verdicts of a comparison by worked examples: the interval, its correction for many questions, and the cause."""

from __future__ import annotations

import math

import pytest

from torchduet.bench.record.moderation import Estimate
from torchduet.bench.record.statistics import Interval
from torchduet.reports.compare.verdicts import Finding, findings, holm, percent
from torchduet.reports.shifts.movement import Movement
from torchduet.reports.shifts.question import Question
from torchduet.reports.shifts.spread import Residual

STILL = Movement(0.0, 0.0, "nothing")
SMALL = 0.005  # half an interval by the visits


def question(
    unit: str, point: float, half: float = SMALL, movement: Movement | None = STILL, visits: int = 6, **details: object
) -> Question:
    """A question that rests on visits, with a threshold of 2 %."""
    low, high = point - half, point + half
    estimate = Estimate(point, low, high, half / 3, 6.0, visits, "run")
    return Question(unit, Interval(point, low, high), 0.02, movement, estimate, **details)  # type: ignore[arg-type]


def unchanged(number: int = 12, deviation: float = 0.0) -> list[Question]:
    """Families in which nothing changed; they lie so far from 0, by turns above and below."""
    return [question(f"other {index}", deviation * (-1) ** index) for index in range(number)]


def finding(asked: Question, others: list[Question] | None = None) -> Finding:
    return findings([[asked, *(unchanged() if others is None else others)]])[0][0]


def test_holm_steps_down_from_the_smallest_chance() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04]) == {0.01}  # .01 <= .05/4, but .02 > .05/3; uncorrected all four were
    assert holm([0.04, 0.01, 0.015, 0.02]) == {0.01, 0.015, 0.02, 0.04}  # .0125, .0167, .025 and .05; Bonferroni: one
    assert holm([0.013, 0.001, 0.02]) == {0.001, 0.013, 0.02}
    assert holm([0.0126, 0.013, 0.013, 0.013]) == set()  # the first that fails ends it
    assert holm([0.0125]) == {0.0125}
    assert holm([0.05]) == {0.05}  # the level itself is enough
    assert holm([]) == set()


def test_a_change_beyond_the_threshold_is_faster_or_slower_by_its_sign() -> None:
    faster, slower = finding(question("it", 0.3)), finding(question("it", -0.3))
    assert (faster.verdict, slower.verdict) == ("faster", "slower")
    assert faster.ratio == pytest.approx(math.exp(0.3))
    assert (faster.cause, faster.why) == ("", "")
    assert finding(question("it", 0.0)).verdict == "same"


@pytest.mark.parametrize("point", [0.3, -0.3])
def test_what_runs_of_the_same_code_differ_by_widens_both_sides_alike(point: float) -> None:
    alone = finding(question("it", point), unchanged(12))
    among = finding(question("it", point), unchanged(12, deviation=0.03))
    assert alone.low is not None
    assert alone.high is not None
    assert among.low is not None
    assert among.high is not None
    assert math.log(alone.low) == pytest.approx(point - SMALL)
    assert math.log(alone.high) == pytest.approx(point + SMALL)
    assert math.log(among.low) < point - 3 * SMALL
    assert math.log(among.high) > point + 3 * SMALL
    assert point - math.log(among.low) == pytest.approx(math.log(among.high) - point)


def test_the_machines_movement_extends_the_interval_by_its_two_ends() -> None:
    found = finding(question("it", 0.3, movement=Movement(-0.02, 0.07, "the pilot")))
    assert found.low is not None
    assert found.high is not None
    assert math.log(found.low) == pytest.approx(0.3 - SMALL - 0.07)
    assert math.log(found.high) == pytest.approx(0.3 + SMALL + 0.02)


def test_only_what_lies_beyond_the_machines_movement_counts_as_significant() -> None:
    others = unchanged(12, deviation=0.02)
    still = finding(question("it", 0.25), others)
    moved = finding(question("it", 0.25, movement=Movement(0.0, 0.2, "the pilot")), others)
    assert still.verdict == "faster"
    assert moved.verdict == "unclear"


def test_an_interval_beyond_the_threshold_that_is_not_significant_among_many_is_unclear() -> None:
    def wide(unit: str, point: float) -> Question:  # few degrees of freedom: beyond 0 at 99 %, and not among so many
        estimate = Estimate(point, point - 0.06, point + 0.06, 0.01, 3.0, 4, "run")
        return Question(unit, Interval(point, point - 0.06, point + 0.06), 0.02, STILL, estimate)

    asked = [wide("it", 0.085), *(wide(f"other {index}", 0.0) for index in range(60))]
    found = findings([asked])[0][0]
    assert (found.verdict, found.cause) == ("unclear", "many")
    assert found.why == "not significant among 61 comparisons"
    few = findings([asked[:2]])[0][0]
    assert few.verdict == "faster"


def test_what_the_machine_moved_is_no_part_of_what_is_significant() -> None:
    def wide(unit: str, point: float, movement: Movement) -> Question:
        estimate = Estimate(point, point - 0.06, point + 0.06, 0.01, 3.0, 4, "run")
        return Question(unit, Interval(point, point - 0.06, point + 0.06), 0.02, movement, estimate)

    # Beyond a movement of up to 0.2 lies 0.1: its interval is beyond the threshold, but among 61 it is chance.
    for sign in (1, -1):
        moved = Movement(min(0.0, 0.2 * sign), max(0.0, 0.2 * sign), "the pilot")
        others = [wide(f"other {index}", 0.0, STILL) for index in range(60)]
        found, still = (findings([[wide("it", 0.3 * sign, of), *others]])[0][0] for of in (moved, STILL))
        assert (found.verdict, found.cause) == ("unclear", "many")
        assert still.verdict == ("faster" if sign > 0 else "slower")


def test_unclear_is_the_machines_where_the_interval_without_its_movement_is_clear() -> None:
    found = finding(question("it", 0.05, movement=Movement(0.0, 0.06, "the memory pilot beside it")))
    assert (found.verdict, found.cause) == ("unclear", "moved")
    assert found.why == "the memory pilot beside it took 5.8 % less, which may explain the change"  # 1 − e^−0.06


def test_unclear_is_the_runs_where_a_case_alone_would_be_clear() -> None:
    found = finding(question("it", 0.04), unchanged(12, deviation=0.05))
    assert (found.verdict, found.cause) == ("unclear", "apart")
    assert found.why.startswith("these runs differ by up to ")
    assert found.high is not None
    reach = math.log(found.high) - 0.04
    assert float(found.why.split("up to ")[1].split(" %")[0]) == pytest.approx(100 * math.expm1(reach), rel=0.06)


def test_unclear_is_the_cases_own_where_its_own_interval_crosses_the_threshold() -> None:
    found = finding(question("it", 0.02, half=0.03))
    assert (found.verdict, found.cause) == ("unclear", "own")
    # A shift of −0.01 to 0.05 of log(base / new) is a time between 4.9 % less and 1 % more.
    assert found.why == "its own times allow a change from −4.9 % to +1 %"


def test_a_change_in_per_cent_is_what_is_added() -> None:
    assert percent(math.log(1.04)) == "+4 %"
    assert percent(math.log(0.96)) == "−4 %"
    assert percent(math.log(2.04)) == "+104 %"
    assert percent(0.0).startswith("+0")


@pytest.mark.parametrize(
    ("asked", "cause", "why"),
    [
        (question("it", 0.3, withheld="it waited for a core"), "withheld", "it waited for a core"),
        (
            question("it", 0.3, movement=None),
            "unguarded",
            "not both runs have pilots, and nothing timed beside it stands in for them",
        ),
        (
            Question("it", Interval(0.3, -math.inf, math.inf), 0.02, STILL, placements=1),
            "placements",
            "1 placement in one of the runs; 8 are needed",
        ),
        (
            Question("it", Interval(0.3, -math.inf, math.inf), 0.02, STILL, placements=7),
            "placements",
            "7 placements in one of the runs; 8 are needed",
        ),
        (
            Question(
                *("it", Interval(0.3, -math.inf, math.inf), 0.02, STILL),
                Estimate(0.3, -math.inf, math.inf, 0.0, 0.0, 1, "none"),
            ),
            "visits",
            "1 visit in one of the runs, and nothing tells how much visits differ; 2 are needed",
        ),
        (
            Question("it", Interval(0.3, 0.29, 0.31), 0.02, STILL, placements=8),
            "families",
            "too few cases in both runs to estimate how much two runs of the same code differ",
        ),
    ],
)
def test_what_cannot_be_judged_says_which_of_the_reasons_it_is(asked: Question, cause: str, why: str) -> None:
    found = finding(asked)
    assert (found.verdict, found.cause, found.why) == ("unclear", cause, why)
    assert (found.low, found.high) == (None, None)
    assert found.ratio == pytest.approx(math.exp(0.3))


def placed(unit: str, point: float, placements: int = 9, halves: float = 0.002) -> Question:
    """A question that rests on placements, with the difference of the halves of either run."""
    of_halves = (Residual(unit, halves, 0.0), Residual(unit, -halves, 0.0))
    shift = Interval(point, point - SMALL, point + SMALL)
    return Question(unit, shift, 0.02, STILL, placements=placements, halves=of_halves)


def test_halves_of_runs_with_too_few_placements_do_not_widen_the_intervals_of_others() -> None:
    others = [placed(f"other {index}", 0.001 * (-1) ** index) for index in range(12)]
    few = [placed(f"few {index}", 0.0, placements=2, halves=0.9) for index in range(3)]
    alone, among = (findings([[placed("it", 0.1), *rest]])[0][0] for rest in (others, [*others, *few]))
    assert alone.verdict == among.verdict == "faster"
    assert (alone.low, alone.high) == (among.low, among.high)


def test_what_is_withheld_is_no_comparison_among_those_that_are_corrected_for() -> None:
    asked = [question("it", 0.3), *(question(f"w{index}", 0.3, withheld="no") for index in range(50))]
    found = findings([[*asked, *unchanged()]])[0]
    assert found[0].verdict == "faster"
    assert {one.cause for one in found[1:51]} == {"withheld"}
