"""Verdicts of a duet, of noise and of statistics by worked examples; expected numbers are scipy's or by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.bench.test_noise import QUIET, seen
from torchduet.bench.noise.causes import Cause, causes, grade_of, worst_first
from torchduet.bench.noise.grades import case_record, means, noise_of, run_record
from torchduet.bench.noise.remedies import FEWER_RANKS, QUIETER_MACHINE
from torchduet.bench.noise.withheld import preempted, waited, with_verdicts_withheld
from torchduet.bench.record.moderation import Prior, Visits
from torchduet.bench.record.statistics import (
    Interval,
    Speedup,
    drift_factor,
    half_width,
    hodges_lehmann,
    lag_one_correlation,
    seconds_per_call,
    side_of,
    speedup_of,
    value_of,
    wanted,
)
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed
from torchduet.bench.record.visits.sides import MIN_PAIRS, judged, p_value

SURE = Prior(0.001, 100.0, 20, "run")


def pairs(point: float, half: float = 0.001, number: int = 8) -> Visits:
    """Pairs by turns above and below a point."""
    return Visits(tuple(point + half * (-1) ** index for index in range(number)), (1e-4,) * number)


@pytest.mark.parametrize("percent", [1.0, 2.0, 3.0, 4.0])
def test_a_change_is_called_where_it_exceeds_the_threshold_however_small_both_are(percent: float) -> None:
    threshold = percent / 100 - 0.005
    log = math.log1p(percent / 100)
    cases = {"faster": pairs(log), "slower": pairs(-log), "same": pairs(0.0)}
    found = judged(cases, SURE, threshold=threshold)
    assert {name: one.verdict for name, one in found.items()} == {name: name for name in cases}


def test_a_change_of_four_per_cent_is_called_at_the_usual_threshold_and_one_of_two_is_not() -> None:
    found = judged({"four": pairs(math.log(1.04)), "two": pairs(math.log(1.02))}, SURE)
    assert (found["four"].verdict, found["two"].verdict) == ("faster", "unclear")


def test_a_p_value_is_students_tail_beyond_the_threshold() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    values = (0.061, 0.058, 0.064, 0.049)
    deviation = math.sqrt(sum((value - 0.058) ** 2 for value in values) / 3)
    excess = 0.058 - math.log(1.02)
    expected = 2 * scipy_stats.t.sf(excess / (deviation / 2), 3)
    assert p_value(Visits(values, (None,) * 4), None, 0.02) == pytest.approx(expected, rel=1e-6)
    assert p_value(Visits(tuple(-value for value in values), (None,) * 4), None, 0.02) == pytest.approx(expected)
    assert p_value(pairs(0.01), None, 0.02) == 1.0  # does not reach the threshold
    assert p_value(pairs(0.5, 0.0, MIN_PAIRS - 1), None, 0.02) == 1.0


def test_the_surest_case_is_judged_first_wherever_it_stands_in_the_list() -> None:
    # Alone each is beyond the threshold at 99 %; of four only the surest at 1 − 0.01/4, and the next at 1 − 0.01/3.
    cases = {name: pairs(point, 0.02, 4) for name, point in (("d", 0.085), ("b", 0.12), ("a", 0.16), ("c", 0.10))}
    chances = {name: p_value(visits, None, 0.02) for name, visits in cases.items()}
    assert sorted(chances, key=lambda name: chances[name]) == ["a", "b", "c", "d"]
    expected: dict[str, str] = {}
    failed = False
    for left, name in zip((4, 3, 2, 1), "abcd", strict=True):
        failed = failed or chances[name] > 0.01 / left
        expected[name] = "unclear" if failed else "faster"
    assert set(expected.values()) == {"faster", "unclear"}
    for order in ("abcd", "dcba", "bdac"):
        found = judged({name: cases[name] for name in order}, None, threshold=0.02)
        assert {name: one.verdict for name, one in found.items()} == expected
        assert found["a"].confidence == pytest.approx(1 - 0.01 / 4)
        assert found["b"].confidence == pytest.approx(1 - 0.01 / (3 if expected["a"] == "faster" else 4))


def test_what_is_no_number_has_no_verdict() -> None:
    nan = math.nan
    assert side_of(nan, nan, 0.02) == "unclear"
    assert side_of(0.0, nan, 0.02) == "unclear"
    assert side_of(nan, 0.0, 0.02) == "unclear"
    assert Speedup(1.0, nan, nan, 9).verdict() == "unclear"
    for values in ([], [0.1, nan], [0.1, math.inf]):
        with pytest.raises(ValueError, match="finite"):
            hodges_lehmann(values)
    with pytest.raises(ValueError, match="finite"):
        Visits((0.1, nan), (None, None))


def test_the_threshold_itself_is_within_it() -> None:
    bound = math.log1p(0.02)
    assert side_of(-bound, bound, 0.02) == "same"
    assert side_of(bound, 2 * bound, 0.02) == "unclear"
    assert side_of(-2 * bound, -bound, 0.02) == "unclear"
    assert side_of(bound * 1.001, 1.0, 0.02) == "faster"
    assert side_of(-1.0, -bound * 1.001, 0.02) == "slower"


def test_a_verdict_needs_eight_placements_and_a_lower_bound() -> None:
    assert Speedup(2.0, 1.9, 2.1, 8).verdict() == "faster"
    assert Speedup(2.0, 1.9, 2.1, 7).verdict() == "unclear"
    assert Speedup(2.0, 1.9, 2.1, 1).side() == "faster"
    assert Speedup(2.0, 0.0, 2.1, 9).verdict() == "unclear"


def test_half_widths() -> None:
    assert half_width(1.0, math.exp(0.2)) == pytest.approx(0.1)
    assert (
        half_width(None, 1.0) == half_width(1.0, None) == half_width(0.0, 1.0) == half_width(1.0, math.inf) == math.inf
    )
    assert Interval(2.0, 1.0, 4.0).half_width == 0.75
    assert Interval(-2.0, -4.0, -1.0).half_width == 0.75
    assert Interval(0.0, -1.0, 1.0).half_width == math.inf


def test_the_wanted_width_is_a_tenth_of_the_effect_between_one_and_two_per_cent() -> None:
    assert [wanted(effect) for effect in (0.0, 0.05, 0.15, -0.15, 0.5)] == pytest.approx(
        [0.01, 0.01, 0.015, 0.015, 0.02]
    )


def test_drift_widens_by_the_correlation_of_neighbours() -> None:
    # Centre 3: deviations −2, −1, 0, 1, 2; products of neighbours 2, 0, 0, 2; squares 10.
    assert lag_one_correlation([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(0.4)
    assert drift_factor([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(math.sqrt(1.4 / 0.6))
    assert lag_one_correlation([1.0, 2.0]) == lag_one_correlation([2.0, 2.0, 2.0]) == 0.0
    assert drift_factor([1.0, -1.0, 1.0, -1.0]) == 1.0
    assert drift_factor([float(value) for value in range(1000)]) == pytest.approx(math.sqrt(1.9 / 0.1))


def test_a_speed_up_is_widened_on_both_sides_of_its_point() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9]
    plain, found = hodges_lehmann(values), speedup_of(values)
    factor = drift_factor(values)
    assert factor > 1.5
    assert math.log(found.low) == pytest.approx(plain.point - factor * (plain.point - plain.low))
    assert math.log(found.high) == pytest.approx(plain.point + factor * (plain.high - plain.point))
    assert (plain.low, plain.high) == (0.1, 0.9)  # of eight values the 99 % interval is the whole range
    point, error = value_of(values)
    assert point == pytest.approx(plain.point)
    deviation = math.sqrt(sum((value - 0.4625) ** 2 for value in values) / 7)
    assert error == pytest.approx(deviation / math.sqrt(8) * factor)
    assert value_of([0.3]) == (0.3, None)


def test_a_time_is_estimated_on_the_scale_of_logarithms_from_the_medians_of_placements() -> None:
    found = seconds_per_call([[1.0, 1.0, 50.0], [4.0, 4.0, 4.0]])
    assert found.point == pytest.approx(2.0)
    assert found.high == math.inf


def test_a_noisy_run_keeps_its_verdicts_and_a_disturbed_one_does_not() -> None:
    # 3 % of the blocks and 50 a second and thread are above the thresholds of *noisy* (2 %, 40), not of *disturbed*.
    noisy = seen(switched=0.03, switches_per_second=100.0, others=1.4)
    (cause,) = [cause for cause in causes(noisy) if cause.kind == "context switches"]
    assert cause.grade == "noisy"
    assert preempted(noisy) is None
    disturbed = seen(switched=0.2, switches_per_second=200.0, others=1.4)
    worse = preempted(disturbed)
    assert worse is not None
    assert (worse.kind, worse.grade) == ("context switches", "disturbed")
    assert waited(disturbed) == worse


def test_the_verdict_of_a_duet_is_not_withheld() -> None:
    record: Any = {"against": {"verdict": "slower"}, "speedups": [], "notes": []}
    assert with_verdicts_withheld(record, cause("others", "disturbed")) is record


def test_times_count_where_others_took_little_of_the_machine() -> None:
    some = seen(switched=0.0, switches_per_second=0.0, others=0.3)  # noisy; 0.5 cores would be disturbed
    assert [cause.grade for cause in causes(some) if cause.kind == "others"] == ["noisy"]
    assert some.oversubscribed
    assert waited(some) is None
    assert waited(replace(some, telemetry=replace(some.telemetry, others=0.6))) is not None


def cause(kind: str, grade: Any, size: float = 1.0) -> Cause:
    return Cause(kind, grade, size, f"{kind} {size:g}", QUIETER_MACHINE)


def test_the_worst_cause_gives_the_grade_of_a_case_and_comes_first() -> None:
    mild, bad = cause("others", "noisy"), cause("speed", "disturbed")
    assert worst_first([mild, bad]) == [bad, mild]
    assert case_record([bad, mild], QUIET)["grade"] == "disturbed"
    assert case_record([bad, mild], QUIET)["causes"] == ["speed 1", "others 1"]


def test_grades_begin_at_their_thresholds() -> None:
    assert [grade_of(value, (0.1, 0.3)) for value in (0.09, 0.1, 0.29, 0.3)] == ["quiet", "noisy", "noisy", "disturbed"]


def test_a_run_has_the_grade_that_a_fifth_of_its_families_reach_by_their_worst_cause() -> None:
    bad = [cause("speed", "disturbed", 5.0), cause("others", "noisy", 1.0)]
    mild = [cause("others", "noisy", 3.0)]
    assert run_record([bad, *[[]] * 4], None)["grade"] == "disturbed"
    assert run_record([bad, *[[]] * 5], None)["grade"] == "quiet"
    assert run_record([bad, mild, *[[]] * 8], None)["grade"] == "noisy"
    assert run_record([], None)["grade"] == "quiet"
    assert run_record([[]] * 5, 0.3)["grade"] == "noisy"  # the pilots changed by 30 %
    assert run_record([[]] * 5, 9.0)["grade"] == "noisy"  # which alone disturbs no family
    assert run_record([bad], 0.3)["grade"] == "disturbed"


def test_each_cause_of_a_run_is_told_at_its_worst_with_the_families_that_it_hit() -> None:
    families = [[cause("others", "noisy", 1.0)], [cause("others", "noisy", 4.0)], []]
    assert run_record(families, None)["causes"] == ["others 4 (at worst; in 2 of 3 families)"]
    assert run_record(families[:2], None)["causes"] == ["others 4 (at worst; in all 2 families)"]
    assert run_record(families[:1], None)["causes"] == ["others 1"]
    assert run_record([[]], 0.25)["causes"] == ["the pilots' times changed by 25 % over the run"]
    assert run_record([[]], 0.24)["causes"] == []
    assert run_record([[]], 0.24, {"steal": 0.01234})["figures"] == {"steal": 0.0123, "pilots": 0.24}


@pytest.mark.parametrize(("ranks", "said"), [(None, "use --threads 1"), (2, FEWER_RANKS)])
def test_what_would_help_a_family_with_ranks_is_fewer_of_these(ranks: int | None, said: str) -> None:
    switches = BlockSwitches(0.3, 900.0, loaders=False)
    telemetry = replace(QUIET.telemetry, others=1.0)
    timed = Timed(0.0, 1.0, telemetry, None, switches, {"a": switches}, {}, threads=ranks)
    record: Any = {"timing": {}, "speedups": [{"verdict": "faster"}], "notes": []}
    graded = noise_of([timed], {"a": record}, [], 2, 2)
    assert graded.noise is not None
    assert graded.noise["remedy"].startswith(said)
    (note,) = graded.records["a"]["notes"]
    assert said in note
    assert graded.records["a"]["speedups"][0]["verdict"] == "unclear"


def test_means_over_families_weigh_by_the_time_for_which_a_figure_is_known() -> None:
    found = means([Telemetry(1.0, others=0.9), Telemetry(3.0, others=0.1), Telemetry(50.0)])
    assert found == {"others": pytest.approx(0.3)}
