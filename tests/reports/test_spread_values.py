"""How far two runs of the same code lie apart, and the shift between two samples: worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from torchduet.bench.record.moderation import Estimate
from torchduet.reports.shifts.dispersion import VisitSpread, error_of, factors_without
from torchduet.reports.shifts.spread import (
    FEW,
    HEAVIEST,
    LIGHTEST,
    MIN_UNITS,
    Residual,
    Spread,
    _shape,
    spread_of,
    spreads_without,
)
from torchduet.reports.shifts.two_sample import difference_rank, drift_factors, shift, shifts

LN2 = math.log(2)


def test_half_of_all_residuals_lie_within_the_middle() -> None:
    spread = Spread(between=0.04, middle=2.0, shape=1.0)
    # The scale of a case with noise 0.03 is 2 × √(0.03² + 0.04²) = 0.1.
    assert spread.chance(0.1, 0.03) == pytest.approx(0.5)
    assert spread.chance(-0.2, 0.03) == pytest.approx(0.25)
    assert spread.reach(0.03, 0.75) == pytest.approx(0.2)
    assert spread.reach(0.03, 0.99) == pytest.approx(0.1 * math.log2(100))
    heavy = Spread(0.04, 2.0, 0.5)
    assert heavy.chance(0.4, 0.03) == pytest.approx(math.exp(-LN2 * 2))
    assert heavy.reach(0.03, 0.75) == pytest.approx(0.4)


def test_where_nothing_varies_any_difference_is_beyond_chance() -> None:
    still = Spread(0.0, 1.0, 1.0)
    assert (still.chance(0.0, 0.0), still.chance(1e-9, 0.0), still.reach(0.0, 0.99)) == (1.0, 0.0, 0.0)


def test_the_shape_is_that_at_which_the_quantile_lies_where_it_does() -> None:
    ratios = [float(value) for value in range(1, 20)]
    # Of 19 values the quantile 0.8 is the 16th; P(ratio > 16) = 0.2 gives the shape log(log2 5) / log(16/10).
    assert _shape(10.0, [*ratios[:15], 40.0, *ratios[16:]], 0.8) == pytest.approx(
        math.log(math.log2(5)) / math.log(4.0)
    )
    assert _shape(10.0, ratios, 0.8) == LIGHTEST  # 16 / 10 had been lighter than that
    assert _shape(1.0, [1.0, 1e9], 0.8) == HEAVIEST
    assert _shape(5.0, [5.0, 5.0], 0.8) == LIGHTEST
    assert _shape(0.0, [0.0, 3.0], 0.8) == LIGHTEST


def halves(*values: float, noise: float = 0.0) -> list[Residual]:
    return [Residual("h", value, noise) for value in values]


def test_few_families_lie_apart_twice_as_far_as_halves_of_a_run() -> None:
    found = spread_of([], halves(0.01, -0.01, 0.01, -0.01))
    assert found == Spread(0.01, FEW * 1.0, LIGHTEST)
    assert spread_of([], halves(0.01, 0.01, 0.01)) is None


def test_a_familys_own_cases_do_not_widen_what_it_is_judged_by() -> None:
    others = [Residual(str(index), 0.01 * (-1) ** index, 0.0) for index in range(MIN_UNITS)]
    own = [Residual("own", 0.5, 0.0) for _ in range(20)]
    of_own, of_all = spreads_without(["own", None], [*others, *own], halves(*[0.001] * 4))
    assert of_own is not None
    assert of_all is not None
    assert of_own.between == pytest.approx(0.01)
    assert of_own.reach(0.0, 0.5) == pytest.approx(0.01)  # each of the others lies so far away
    assert of_all.between == pytest.approx(0.5)


def test_the_scale_is_the_median_of_all_and_the_heavier_tail_counts() -> None:
    residuals = [Residual(str(index), 0.01, 0.0) for index in range(30)]
    within = halves(*[0.01] * 30, *[0.5] * 4)  # of which one in nine is far off
    found = spread_of(residuals, within)
    assert found is not None
    assert found.middle == pytest.approx(1.0)
    assert found.shape == pytest.approx(max(HEAVIEST, math.log(math.log2(20)) / math.log(50)))


def estimate(point: float, error: float, degrees: float = 5.0) -> Estimate:
    scipy_stats = pytest.importorskip("scipy.stats")
    width = error * scipy_stats.t.ppf(0.995, degrees)
    return Estimate(point, point - width, point + width, error, degrees, 4, "run")


def test_the_chance_of_a_difference_of_visits_is_students_widened_by_the_factor() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    found = VisitSpread(estimate(0.1, 0.02), 2.0)
    assert error_of(found.estimate) == pytest.approx(0.02, rel=1e-6)
    assert found.chance(-0.1) == pytest.approx(2 * scipy_stats.t.sf(0.1 / 0.04, 5))
    assert found.reach() == pytest.approx(2 * 0.02 * scipy_stats.t.ppf(0.995, 5), rel=1e-6)
    assert found.chance(0.0) == 1.0
    assert VisitSpread(estimate(0.1, 0.0)).chance(0.1) == 0.0
    assert VisitSpread(Estimate(0.1, -math.inf, math.inf, 0.0, 0.0, 1, "none")).chance(0.1) == 1.0


def test_the_factor_is_how_much_further_the_other_families_lie_from_the_common_shift_than_they_show() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    typical = 0.01 * scipy_stats.t.ppf(0.75, 5)  # the median of |t|
    units = [str(index) for index in range(MIN_UNITS)]
    estimates = [estimate(0.2 + 3 * typical * (-1) ** index, 0.01) for index in range(MIN_UNITS)]
    found = factors_without([*units, "own"], [*estimates, estimate(9.0, 0.01)], 0.2)
    assert found["own"] == pytest.approx(3.0, rel=1e-6)
    assert found["0"] == pytest.approx(3.0, rel=1e-6)  # the median hardly heeds the one that changed
    assert factors_without(units, estimates, 0.2)["0"] == 1.0  # seven others are too few
    close = [estimate(0.2, 0.01) for _ in range(MIN_UNITS + 1)]
    assert factors_without([*units, "own"], close, 0.2)["own"] == 1.0


def test_a_shift_is_the_median_of_all_differences_with_the_exact_interval() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    first, second = [3.0, 1.0, 4.5, 2.2, 5.0, 0.5], [0.1, -0.4, 0.6, -0.9, 0.3]
    differences = sorted(a - b for a in first for b in second)
    found = shift(first, second, 0.99)
    assert found.point == pytest.approx((differences[14] + differences[15]) / 2)
    rank = difference_rank(6, 5, 0.99)
    assert rank is not None
    # 2 P(U <= rank − 1) is at most 1 %, and with one more it is above.
    worst = [[float(value) for value in range(6)], [value + 10.0 for value in range(5)]]
    assert 2 * scipy_stats.mannwhitneyu(*worst, alternative="less", method="exact").pvalue <= 0.01
    assert found.low == pytest.approx(found.point - (found.point - differences[rank - 1]))
    assert found.high == pytest.approx(differences[-rank])


def test_many_shifts_at_once_are_those_one_by_one() -> None:
    rng = np.random.default_rng(1)
    for m, n in ((7, 6), (5, 5), (2, 3), (9, 8)):
        first, second = rng.normal(size=(6, m)), rng.normal(size=(6, n))
        first[0].sort()  # drifts
        second[1] = 0.25  # never varies
        for many, one in zip(shifts(first, second), map(shift, first.tolist(), second.tolist()), strict=True):
            assert many.point == pytest.approx(one.point)
            assert (many.low, many.high) == (pytest.approx(one.low), pytest.approx(one.high))
    with pytest.raises(ValueError, match="finite values on both sides, got 2 and 0"):
        shifts(np.zeros((1, 2)), np.zeros((1, 0)))
    with pytest.raises(ValueError, match="finite"):
        shifts(np.zeros((1, 2)), np.full((1, 2), np.nan))


def test_many_shifts_are_sorted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(7, 6)), rng.normal(size=(7, 5))
    whole = shifts(first, second)
    monkeypatch.setattr("torchduet.reports.shifts.two_sample.AT_ONCE", 2 * 30)
    assert shifts(first, second) == whole


def test_the_drift_of_many_is_that_of_each() -> None:
    found = drift_factors(np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, -1.0, 1.0, -1.0, 1.0], [2.0] * 5]))
    assert found.tolist() == pytest.approx([math.sqrt(1.4 / 0.6), 1.0, 1.0])
    assert drift_factors(np.array([[1.0, 2.0]])).tolist() == [1.0]
    assert drift_factors(np.arange(1000.0)[None, :]).tolist() == pytest.approx([math.sqrt(1.9 / 0.1)])
