"""The simulation of coverage: that it computes what a run computes, and that intervals hold as often as they say."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from torchduet.bench.record.moderation import MIN_TRIMMED_ALONE, Visits, estimate, fit
from torchduet.bench.selfcheck import coverage as simulation
from torchduet.bench.selfcheck.coverage import Coverage, alone, bounds, coverage, learned, moderated
from torchduet.bench.selfcheck.many_moderations import centres, half_widths, half_widths_alone, priors, quantiles
from torchduet.bench.selfcheck.simulated_visits import MEDIAN_CHI2, Cell, draw

CELLS = [
    Cell(visits, 8, 0.02, degrees, heavy, comparisons)
    for visits, (degrees, heavy, comparisons) in itertools.product(
        (2, 3, 5, 8, 12), [(1.4, False, 1), (4.0, True, 1), (math.inf, True, 3)]
    )
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_simulation_computes_what_a_run_computes(cell: Cell) -> None:
    simulated = draw(cell, 3, np.random.default_rng(1))
    values, errors = simulated.values, simulated.errors
    many = centres(values, errors)
    between, degrees = priors(many, 1 / cell.comparisons)
    widths = half_widths(many, between, degrees)
    plain = centres(values, errors, MIN_TRIMMED_ALONE)
    for run, by_run in enumerate(values):
        comparisons = [
            (
                f"family {number // cell.comparisons}",
                Visits(tuple(map(float, row)), tuple(map(float, errors[run, number]))),
            )
            for number, row in enumerate(by_run)
        ]
        prior = fit(comparisons)
        assert prior is not None
        assert (prior.deviation**2, prior.degrees) == pytest.approx((between[run], degrees[run]), rel=1e-9)
        for number, (_, visits) in enumerate(comparisons):
            found, without = estimate(visits, prior), estimate(visits, None)
            assert found.point == pytest.approx(many.centre[run, number], abs=1e-12)
            assert found.half_width == pytest.approx(widths[run, number], rel=1e-4)
            assert without.point == pytest.approx(plain.centre[run, number], abs=1e-12)
            assert without.half_width == pytest.approx(half_widths_alone(plain)[run, number], rel=1e-9)


def test_quantiles_between_those_of_the_table_are_near_enough() -> None:
    degrees = np.exp(np.random.default_rng(0).uniform(math.log(0.3), math.log(5e4), 500))
    assert quantiles(degrees) == pytest.approx(stats.t.isf(0.005, degrees), rel=1e-4)


def test_the_median_family_has_the_deviation_of_the_cell() -> None:
    assert pytest.approx({degrees: stats.chi2.median(degrees) for degrees in MEDIAN_CHI2}, rel=1e-4) == MEDIAN_CHI2


@pytest.mark.parametrize(("deviation", "degrees"), [(0.0, math.inf), (0.01, 4.0), (0.02, 1.4), (0.05, math.inf)])
@pytest.mark.parametrize("visits", [3, 4, 6, 8])
def test_intervals_hold_as_often_as_they_say(visits: int, deviation: float, degrees: float) -> None:
    found = coverage(Cell(visits, 30, deviation, degrees), comparisons=3_000)
    assert found.high > simulation.GOAL[0]
    assert found.low < simulation.GOAL[1]


@pytest.mark.parametrize("method", [moderated, alone, learned])
def test_visits_that_are_far_off_do_not_break_the_promise(method: simulation.Method) -> None:
    assert coverage(Cell(4, 10, 0.01, 4.0, heavy=True), method, 2_000).high > 0.99


def test_trimming_keeps_intervals_narrow_where_one_visit_in_ten_is_far_off() -> None:
    clean, heavy = (coverage(Cell(8, 30, 0.01, 4.0, off), comparisons=3_000).half_width for off in (False, True))
    assert heavy < 2 * clean


def test_the_same_cell_is_always_simulated_alike() -> None:
    cell = Cell(3, 10, 0.02, 4.0)
    assert coverage(cell, comparisons=1_000) == coverage(cell, comparisons=1_000)


def test_bounds_are_wider_if_the_comparisons_of_a_run_hold_together() -> None:
    apart = np.arange(1000).reshape(100, 10) % 20 > 0
    together = np.broadcast_to(np.arange(100)[:, None] % 20 > 0, (100, 10))
    (low, high), (lower, higher) = bounds(apart), bounds(together)
    assert apart.mean() == together.mean() == pytest.approx(0.95)
    assert lower < low < 0.95 < high < higher
    assert bounds(np.ones((100, 10), bool)) == (pytest.approx(1 - 0.00369, abs=1e-4), 1)


def test_the_report_names_every_cell_and_counts_those_beyond_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "coverage", lambda cell, *_: Coverage(0.99, 0.98, 0.999 - cell.heavy, 0.034))
    lines = "\n".join(simulation.report(quick=True))
    rows, heavy = 13 * 2 * 2 + 2 * 12 + 2 + 1, 13 * 2 + 2 * 6
    assert lines.count("99.00% (98.00% to 99.90%)   ±3.4%") == 5 * (rows - heavy)
    assert lines.count("99.00% (98.00% to -0.10%)   ±3.4%*") == 5 * heavy
    assert f"{5 * heavy} of {5 * rows} cells are beyond 98.5% to 99.5%" in lines
