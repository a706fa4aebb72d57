"""From blocks to a verdict, by worked examples: where the lines lie, how wide intervals are, when a call pays off."""

from __future__ import annotations

import math

import pytest

from torchduet.bench.record.statistics import (
    Interval,
    Speedup,
    calls_to_pay_off,
    drift_factor,
    half_width,
    hodges_lehmann,
    lag_one_correlation,
    seconds_per_call,
    side_of,
    speedup_of,
    value_of,
    walsh_rank,
    wanted,
)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.021, 1.05, "faster"),
        (1.019, 1.05, "unclear"),
        (0.9, 0.980, "slower"),
        (0.9, 0.981, "unclear"),
        (0.981, 1.019, "same"),
        (0.979, 1.019, "unclear"),
        (0.981, 1.021, "unclear"),
    ],
)
def test_two_per_cent_either_way_decide(low: float, high: float, verdict: str) -> None:
    found = Speedup(1.0, low, high, placements=8)
    assert found.confidence == 0.99
    assert found.verdict() == found.side() == verdict
    assert Speedup(1.0, low, high, placements=7).verdict() == "unclear"
    assert Speedup(1.0, low, high, placements=7).side() == verdict


def test_on_the_line_itself_is_the_same() -> None:
    line = math.log1p(0.02)
    assert side_of(line, 0.5, 0.02) == "unclear"
    assert side_of(-line, line, 0.02) == "same"
    assert side_of(-0.5, -line, 0.02) == "unclear"
    assert Speedup(1.0, 0.0, 2.0, placements=9).verdict() == "unclear"
    assert Speedup(3.0, 2.9, 3.1, placements=9).verdict(2.5) == "same"


@pytest.mark.parametrize(
    ("effect", "width"), [(0.0, 0.01), (0.05, 0.01), (0.15, 0.015), (-0.15, 0.015), (0.3, 0.02), (-2.0, 0.02)]
)
def test_an_interval_of_a_tenth_of_the_effect_is_wanted_between_one_and_two_per_cent(
    effect: float, width: float
) -> None:
    assert wanted(effect) == pytest.approx(width)


def test_half_of_an_intervals_width() -> None:
    assert half_width(math.exp(-0.1), math.exp(0.3)) == pytest.approx(0.2)
    assert Speedup(1.0, math.exp(-0.1), math.exp(0.3), 9).half_width == pytest.approx(0.2)
    for low, high in ((None, 1.0), (1.0, None), (0.0, 1.0), (1.0, math.inf)):
        assert half_width(low, high) == math.inf
    assert Interval(-2.0, -3.0, -2.0).half_width == pytest.approx(0.25)
    assert Interval(0.0, -3.0, 2.0).half_width == math.inf


def test_neighbours_that_are_alike_widen_an_interval() -> None:
    # About 2.5: the products of neighbours add up to 8.75, the squares to 17.5.
    assert lag_one_correlation([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(0.5)
    assert drift_factor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(math.sqrt(3.0))
    assert lag_one_correlation([1.0, -1.0, 1.0, -1.0]) == pytest.approx(-0.75)
    assert drift_factor([1.0, -1.0, 1.0, -1.0]) == 1.0
    assert lag_one_correlation([0.0, 1.0, 1.0]) == pytest.approx((-2 / 9 + 1 / 9) / (6 / 9))
    for values in ([0.0, 1.0], [3.0, 3.0, 3.0]):
        assert lag_one_correlation(values) == 0.0
        assert drift_factor(values) == 1.0
    assert drift_factor([float(number) for number in range(1000)]) == pytest.approx(math.sqrt(1.9 / 0.1))


def test_eight_values_have_an_interval_from_the_least_to_the_greatest() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.6]
    found = hodges_lehmann(values)
    assert (found.low, found.high) == (0.1, 1.6)
    assert found.point == pytest.approx(0.45)
    assert hodges_lehmann(values[:7]).low == -math.inf
    assert walsh_rank(9, 0.99) == 2
    nine = hodges_lehmann([*values, 1.7])
    assert (nine.low, nine.high) == (pytest.approx(0.15), pytest.approx(1.65))


def test_a_speed_ups_interval_is_widened_on_either_side_of_its_point() -> None:
    rising = [0.01 * number for number in range(8)]
    plain, widened = hodges_lehmann(rising), speedup_of(rising)
    factor = drift_factor(rising)
    assert factor > 1.5
    assert widened.placements == 8
    assert math.log(widened.ratio) == pytest.approx(0.035)
    assert math.log(widened.low) == pytest.approx(0.035 - factor * (0.035 - plain.low))
    assert math.log(widened.high) == pytest.approx(0.035 + factor * (plain.high - 0.035))


def test_a_visits_error_is_that_of_the_mean_of_its_placements() -> None:
    assert value_of([0.3]) == (0.3, None)
    assert value_of([0.2, 0.4]) == (pytest.approx(0.3), pytest.approx(0.1))
    point, error = value_of([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert point == pytest.approx(2.5)
    assert error == pytest.approx(math.sqrt(3.5 / 6) * math.sqrt(3.0))


def test_a_time_is_the_middle_of_the_placements_medians_on_the_scale_of_logarithms() -> None:
    found = seconds_per_call([[1.0, 1.0, 99.0], [4.0, 4.0, 0.1]])
    assert found.point == pytest.approx(2.0)
    assert (found.low, found.high) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("extra", "seconds", "ratio", "calls"),
    [
        (6.0, 2.0, 2.0, 7.0),  # each later call saves a second
        (6.0, 2.0, 0.5, None),
        (6.0, 2.0, 1.0, None),
        (0.0, 2.0, 2.0, 1.0),
        (-1.0, 2.0, 1.0, 1.0),
        (-1.0, 2.0, 0.5, None),
        (6.0, 2.0, 0.0, None),
    ],
)
def test_a_slower_first_call_pays_off_once_the_later_ones_have_saved_as_much(
    extra: float, seconds: float, ratio: float, calls: float | None
) -> None:
    assert calls_to_pay_off(extra, seconds, ratio) == calls
