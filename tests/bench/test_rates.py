"""Bounds against published values, and what a width can show against simulation."""

import math
import random

import pytest

from torchduet.bench.record.proportions import at_most, clopper_pearson, minimum_effect


@pytest.mark.parametrize(
    ("count", "trials", "low", "high"),
    [  # Clopper & Pearson's bounds at 95 %, as every statistics package has them
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (2, 500, 0.00049, 0.01437),
    ],
)
def test_bounds_are_those_of_the_tables(count: int, trials: int, low: float, high: float) -> None:
    assert clopper_pearson(count, trials) == pytest.approx((low, high), abs=6e-5)


def test_bounds_hold_their_share_for_many_trials() -> None:
    low, high = clopper_pearson(60, 5000)
    assert 1 - at_most(59, 5000, low) == pytest.approx(0.025, abs=1e-6)
    assert at_most(60, 5000, high) == pytest.approx(0.025, abs=1e-6)


@pytest.mark.parametrize(("count", "trials"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(count: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"{count} of {trials}"):
        clopper_pearson(count, trials)


def test_the_least_effect_is_found_in_about_95_of_100() -> None:
    error, threshold = 0.004, 0.01
    half_width = 2.5758 * error
    effect = math.log1p(minimum_effect(half_width, threshold))
    rng = random.Random(1)
    found = sum(rng.gauss(effect, error) - half_width > math.log1p(threshold) for _ in range(4000))
    assert 0.93 < found / 4000 < 0.97


def test_without_an_interval_nothing_is_found() -> None:
    assert minimum_effect(math.inf, 0.01) == math.inf
