"""How far two runs lie apart without a cause: what it follows from, and what it does not."""

from __future__ import annotations

import random

import pytest

from torchduet.reports.shifts.spread import LIGHTEST, Residual, spread_of


def residuals(
    seed: int, size: float, number: int = 200, *, heavy: float = 0.0, noise: float = 0.004, units: int = 50
) -> list[Residual]:
    rng = random.Random(seed)
    return [
        Residual(str(place % units), rng.gauss(0, size * (20 if rng.random() < heavy else 1)), noise)
        for place in range(number)
    ]


def test_the_chance_and_the_reach_say_the_same() -> None:
    spread = spread_of(residuals(1, 0.01), residuals(2, 0.002, 400))
    assert spread is not None
    assert spread.chance(spread.reach(0.004, 0.99), 0.004) == pytest.approx(0.01)
    assert spread.chance(-spread.reach(0.004, 0.99), 0.004) == pytest.approx(0.01)
    assert spread.chance(0, 0.004) == 1


def test_the_reach_covers_what_has_no_cause() -> None:
    spread = spread_of(residuals(3, 0.01), residuals(4, 0.004, 400))
    assert spread is not None
    beyond = sum(abs(one.value) > spread.reach(one.noise, 0.99) for one in residuals(5, 0.01, 5000))
    assert beyond <= 0.01 * 5000


def test_a_tenth_of_cases_that_changed_hardly_widens_it() -> None:
    plain = residuals(6, 0.005)
    changed = [Residual(one.unit, 0.1, one.noise) for one in plain[:20]]
    before, after = spread_of(plain, plain), spread_of([*changed, *plain[20:]], plain)
    assert before is not None
    assert after is not None
    assert after.reach(0.004, 0.99) < 1.6 * before.reach(0.004, 0.99) < 0.1


def test_a_heavy_tail_within_the_runs_is_expected_between_them() -> None:
    light, heavy = (spread_of(residuals(7, 0.005), residuals(8, 0.005, 400, heavy=share)) for share in (0, 0.1))
    assert light is not None
    assert heavy is not None
    assert heavy.shape < light.shape <= LIGHTEST
    assert heavy.reach(0.004, 0.99) > 1.5 * light.reach(0.004, 0.99)


def test_few_families_are_taken_to_lie_further_apart_than_halves() -> None:
    halves = residuals(9, 0.004, 20)
    spread = spread_of(residuals(10, 0.0001, 6, units=2), halves)
    assert spread is not None
    assert spread.reach(0.004, 0.99) > max(abs(one.value) for one in halves)


def test_next_to_nothing_says_nothing() -> None:
    assert spread_of([], residuals(11, 0.01, 3)) is None


def test_runs_without_any_difference_can_be_judged() -> None:
    still = [Residual(str(place), 0.0, 0.0) for place in range(20)]
    spread = spread_of(still, still)
    assert spread is not None
    assert spread.reach(0.0, 0.99) == 0
    assert spread.chance(0.01, 0.0) == 0
