"""The shift between two independent samples, and the exact interval it comes with."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from torchduet.bench.record.statistics import drift_factor
from torchduet.reports.shifts import two_sample
from torchduet.reports.shifts.two_sample import difference_rank, drift_factors, rank_sum_counts, shift, shifts


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 4), (2, 3), (4, 3), (5, 5)])
def test_the_null_distribution_is_that_of_all_arrangements(m: int, n: int) -> None:
    counted = [0] * (m * n + 1)
    for chosen in itertools.combinations(range(m + n), m):
        counted[sum(chosen) - m * (m - 1) // 2] += 1
    assert rank_sum_counts(m, n) == tuple(counted)


def test_ranks_are_those_of_the_published_tables() -> None:
    # Hollander & Wolfe, table A.6, and Mann & Whitney 1947: critical values of U at 1 %, two-sided, plus one
    assert [difference_rank(n, n, 0.99) for n in (4, 5, 6, 7, 8, 10)] == [None, 1, 3, 5, 8, 17]


def test_the_interval_covers_the_shift_as_often_as_it_says() -> None:
    rng = random.Random(5)
    covered = 0
    for _ in range(1500):
        first, second = ([rng.gauss(centre, 1) for _ in range(8)] for centre in (0.4, 0.0))
        # drift widens; shuffled values have none, and what looks like some only makes the interval conservative
        interval = shift(sorted(first, key=lambda value: (value * 7919) % 1), second, 0.9)
        covered += interval.low <= 0.4 <= interval.high
    assert 0.9 * 1500 <= covered < 1500


def test_a_sample_that_drifts_has_a_wider_interval() -> None:
    still = [0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.4, -0.4]
    steady, drifting = shift(still, still), shift(sorted(still), still)
    assert steady.point == drifting.point == pytest.approx(0)
    assert drifting.high - drifting.low > 1.5 * (steady.high - steady.low)


def test_too_few_values_have_no_interval() -> None:
    found = shift([1.0, 2.0], [0.0, 0.5])
    assert found.point == pytest.approx(1.25)
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf]])
def test_what_is_no_sample_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        shift(values, [1.0])


@pytest.mark.parametrize(("m", "n"), [(2, 2), (6, 7)])
def test_however_many_are_sorted_at_a_time_each_row_has_its_interval(
    m: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too few values for an interval, too."""
    rng = np.random.default_rng(m)
    first, second = rng.normal(size=(5, m)), rng.normal(size=(5, n))
    whole = shifts(first, second)
    assert [found.point for found in whole] == pytest.approx(
        [shift(*pair).point for pair in zip(first.tolist(), second.tolist(), strict=True)]
    )
    for at_once in (1, 2 * m * n, 4 * m * n):
        monkeypatch.setattr(two_sample, "AT_ONCE", at_once)
        assert shifts(first, second) == whole


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 1e3])
def test_drift_widens_small_differences_as_it_does_large_ones(size: float) -> None:
    drifting = np.array(
        [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 1.0, -1.0, 1.0, 0.0]]
    )
    # Of 0 to 5 about 2.5: the products of neighbours add up to 8.75, the squares to 17.5.
    assert drift_factors(drifting * size).tolist() == pytest.approx([math.sqrt(1.5 / 0.5), 1.0, 1.0])
    assert drift_factors(drifting[:, :2] * size).tolist() == [1.0] * 3  # two values drift neither way


def test_an_interval_goes_from_the_third_difference_to_the_third_last_and_is_widened_for_drift() -> None:
    """Of six and six values."""
    first, second = [0.0, 1.0, 2.0, 3.0, 4.0, 20.0], [0.3, 0.0, 0.55, 0.1, 0.42, 0.2]
    differences = sorted(a - b for a in first for b in second)
    point, factor = (differences[17] + differences[18]) / 2, drift_factor(first)
    assert factor > drift_factor(second)
    for sign in (1, -1):
        pair = [[sign * value for value in values] for values in (first, second)]
        ends = sorted(sign * (point + factor * (end - point)) for end in (differences[2], differences[-3]))
        for found in (shift(*pair), *shifts(*(np.array([values, values]) for values in pair))):
            assert found.point == pytest.approx(sign * point)
            assert [found.low, found.high] == pytest.approx(ends)
    swapped = shift(second, first)
    assert swapped.point == pytest.approx(-point)
    assert swapped.high == pytest.approx(-point + factor * (point - differences[2]))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_many_of_which_one_is_no_sample_are_refused(wrong: float) -> None:
    good, bad = np.ones((2, 3)), np.ones((2, 3))
    bad[1, 2] = wrong
    for pair in ((good, bad), (bad, good), (good, np.empty((2, 0))), (np.empty((2, 0)), good)):
        with pytest.raises(ValueError, match="finite values on both sides"):
            shifts(*pair)
    few = shifts(good, good)
    assert [(one.point, one.low, one.high) for one in few] == [(0.0, -math.inf, math.inf)] * 2
