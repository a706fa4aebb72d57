"""What holds of the estimates, intervals and procedures whatever was measured."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from torchduet.bench.record.moderation import Prior, Visits
from torchduet.bench.record.proportions import clopper_pearson
from torchduet.bench.record.statistics import (
    Speedup,
    drift_factor,
    hodges_lehmann,
    placement_differences,
    seconds_per_call,
    speedup,
    speedup_of,
)
from torchduet.bench.record.visits.sides import judged, p_value
from torchduet.reports.compare.verdicts import holm
from torchduet.reports.shifts.two_sample import shift, shifts

SECONDS = st.floats(1e-7, 10.0)
LOGS = st.floats(-2.0, 2.0)
SAMPLES = st.lists(LOGS, min_size=5, max_size=12)
CHANCES = st.lists(st.floats(0.0, 1.0), max_size=10)


@st.composite
def both_sides(draw: st.DrawFn) -> tuple[list[list[float]], list[list[float]]]:
    """Blocks of a reference and a case: placements × rounds, as many of both."""
    rounds = draw(st.integers(1, 4))
    pairs = st.lists(st.tuples(SECONDS, SECONDS), min_size=rounds, max_size=rounds)
    placements = draw(st.lists(pairs, min_size=8, max_size=12))
    return tuple([[pair[side] for pair in rounds] for rounds in placements] for side in (0, 1))  # type: ignore[return-value]


def near(one: Speedup, low: float, ratio: float, high: float) -> bool:
    return (one.low, one.ratio, one.high) == pytest.approx((low, ratio, high), rel=1e-9)


def scaled(blocks: list[list[float]], factor: float) -> list[list[float]]:
    return [[factor * value for value in rounds] for rounds in blocks]


@given(both_sides(), st.floats(1e-3, 1e3))
def test_a_unit_of_time_does_not_matter_and_a_factor_goes_into_the_ratio(both: tuple, factor: float) -> None:  # type: ignore[type-arg]
    reference, case = both
    plain = speedup(reference, case)
    assert near(speedup(scaled(reference, factor), scaled(case, factor)), plain.low, plain.ratio, plain.high)
    slower = speedup(reference, scaled(case, factor))
    assert near(slower, plain.low / factor, plain.ratio / factor, plain.high / factor)


@given(both_sides())
def test_swapping_the_sides_inverts_ratio_and_interval(both: tuple) -> None:  # type: ignore[type-arg]
    forth, back = speedup(*both), speedup(*both[::-1])
    assert near(back, 1 / forth.high, 1 / forth.ratio, 1 / forth.low)
    opposite = {"faster": "slower", "slower": "faster", "same": "same", "unclear": "unclear"}
    assume(all(abs(abs(math.log(end)) - math.log1p(0.02)) > 1e-9 for end in (forth.low, forth.high)))
    assert back.verdict() == opposite[forth.verdict()]


@given(both_sides(), st.randoms(use_true_random=False))
def test_the_order_of_rounds_does_not_matter_and_of_placements_only_for_drift(both: tuple, rng) -> None:  # type: ignore[no-untyped-def,type-arg]
    reference, case = both
    plain, differences = speedup(reference, case), placement_differences(reference, case)
    mixed = [(list(one), list(other)) for one, other in zip(reference, case, strict=True)]
    for one, other in mixed:
        order = rng.sample(range(len(one)), len(one))
        one[:], other[:] = [one[place] for place in order], [other[place] for place in order]
    assert near(speedup(*zip(*mixed, strict=True)), plain.low, plain.ratio, plain.high)
    rng.shuffle(differences)
    assert speedup_of(differences).ratio == pytest.approx(plain.ratio)
    one, other = hodges_lehmann(placement_differences(reference, case)), hodges_lehmann(differences)
    assert (one.low, one.point, one.high) == pytest.approx((other.low, other.point, other.high), abs=1e-12)


@given(st.lists(LOGS, min_size=1, max_size=16))
def test_an_estimate_lies_among_its_values_and_within_its_interval(values: list[float]) -> None:
    found, wider = hodges_lehmann(values, 0.9), hodges_lehmann(values, 0.99)
    assert min(values) <= found.point <= max(values)
    assert wider.low <= found.low <= found.point <= found.high <= wider.high
    mirrored = hodges_lehmann([-value for value in values], 0.9)
    assert (mirrored.low, mirrored.point, mirrored.high) == (-found.high, -found.point, -found.low)
    assert drift_factor(values) >= 1
    assert drift_factor(values[::-1]) == pytest.approx(drift_factor(values))


@given(st.lists(st.lists(SECONDS, min_size=1, max_size=4), min_size=1, max_size=12), st.floats(1e-3, 1e3))
def test_seconds_per_call_scale(blocks: list[list[float]], factor: float) -> None:
    plain, other = seconds_per_call(blocks), seconds_per_call(scaled(blocks, factor))
    assert other.point == pytest.approx(factor * plain.point)
    assert other.low == pytest.approx(factor * plain.low)


@given(SAMPLES, SAMPLES, LOGS)
def test_the_shift_of_two_samples_moves_with_them_and_turns_with_the_sides(
    first: list[float], second: list[float], by: float
) -> None:
    plain = shift(first, second, 0.9)
    assert plain.low <= plain.point <= plain.high
    moved = shift([value + by for value in first], second, 0.9)
    assert moved.point == pytest.approx(plain.point + by, abs=1e-9)
    back = shift(second, first, 0.9)
    assert (back.low, back.point, back.high) == pytest.approx((-plain.high, -plain.point, -plain.low))
    assert min(first) - max(second) <= plain.point <= max(first) - min(second)


@given(st.lists(st.tuples(*[LOGS] * 11), min_size=1, max_size=4))
def test_many_shifts_at_once_are_those_one_by_one(rows: list[tuple[float, ...]]) -> None:
    values = np.array(rows)
    for found, row in zip(shifts(values[:, :6], values[:, 6:]), rows, strict=True):
        one = shift(row[:6], row[6:])
        assert (found.low, found.point, found.high) == pytest.approx((one.low, one.point, one.high), abs=1e-9)


@given(CHANCES, st.randoms(use_true_random=False))
def test_holm_lies_between_bonferroni_and_no_correction(chances: list[float], rng) -> None:  # type: ignore[no-untyped-def]
    found = holm(chances)
    bonferroni = {one for one in chances if one <= 0.05 / len(chances)}
    assert bonferroni <= found <= {one for one in chances if one <= 0.05}
    assert all(one in found for one in chances if found and one <= max(found))  # the surest, without a gap
    assert holm(rng.sample(chances, len(chances))) == found
    if chances:
        surer = [chances[0] / 2, *chances[1:]]
        assert len([one for one in surer if one in holm(surer)]) >= len([one for one in chances if one in found])


@given(st.integers(0, 40), st.integers(0, 40))
def test_bounds_of_a_rate_hold_it_and_are_those_of_the_beta_distribution(hits: int, misses: int) -> None:
    beta = pytest.importorskip("scipy.stats").beta
    trials = hits + misses
    assume(trials)
    low, high = clopper_pearson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert low == pytest.approx(beta.ppf(0.025, hits, misses + 1) if hits else 0.0, abs=1e-9)
    assert high == pytest.approx(beta.ppf(0.975, hits + 1, misses) if misses else 1.0, abs=1e-9)
    assert clopper_pearson(misses, trials) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(st.dictionaries(st.text("ab"), st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=12), min_size=1))
def test_what_a_duet_calls_different_among_others_it_would_call_so_alone(found: dict[str, list[float]]) -> None:
    prior = Prior(0.01, 3.0, 9, "run")
    visits = {name: Visits(tuple(values), (0.001,) * len(values)) for name, values in found.items()}
    together = judged(visits, prior)
    assert together.keys() == found.keys()
    for name, judgement in together.items():
        alone = judged({name: visits[name]}, prior)[name]
        assert alone.estimate.half_width <= judgement.estimate.half_width * (1 + 1e-9)
        if judgement.verdict in ("faster", "slower"):
            assert alone.verdict == judgement.verdict
            assert p_value(visits[name], prior) <= 0.01
    mirrored = judged({name: Visits(tuple(-v for v in of.values), of.errors) for name, of in visits.items()}, prior)
    opposite = {"faster": "slower", "slower": "faster"}
    assert all(mirrored[name].verdict == opposite.get(one.verdict, one.verdict) for name, one in together.items())
