"""Intervals over visits: what they are by formula, what does not change them, and how often they hold."""

import dataclasses
import math
import random
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from torchduet.bench.record.distributions.trimmed_mean import trimmed_mean
from torchduet.bench.record.distributions.variance_prior import SampleVariance, log_likelihood
from torchduet.bench.record.moderation import (
    MIN_FAMILIES,
    TYPICAL,
    UNLIKELY,
    Prior,
    Visits,
    difference,
    estimate,
    fit,
    prior_degrees,
    prior_for,
)
from torchduet.bench.record.schema import PriorOf

LOGS = st.floats(-2.0, 2.0)
ERRORS = st.none() | st.floats(0.0, 0.5)
FACTORS = st.floats(1e-3, 1e3)
PRIOR = Prior(0.02, 4.0, 30, "run")
FOUR = Visits((0.10, 0.13, 0.09, 0.12), (0.01, 0.02, 0.01, None))


@st.composite
def some_visits(draw: st.DrawFn, least: int = 1, most: int = 40) -> Visits:
    pairs = draw(st.lists(st.tuples(LOGS, ERRORS), min_size=least, max_size=most))
    return Visits(tuple(value for value, _ in pairs), tuple(error for _, error in pairs))


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[str, Visits]]:
    comparisons = draw(st.lists(some_visits(least=2, most=6), min_size=MIN_FAMILIES, max_size=9))
    return [(f"family {number}", visits) for number, visits in enumerate(comparisons)]


def scaled(visits: Visits, factor: float) -> Visits:
    errors = tuple(None if error is None else factor * error for error in visits.errors)
    return Visits(tuple(factor * value for value in visits.values), errors)


def drawn(generator: np.random.Generator, deviation: float, visits: int = 4, within: float = 0.01) -> Visits:
    """Visits of a comparison whose true value is 0."""
    values = generator.normal(0, math.hypot(deviation, within), visits)
    return Visits(tuple(map(float, values)), (within,) * visits)


def families(generator: np.random.Generator, number: int, deviation: float = 0.02) -> list[tuple[str, Visits]]:
    return [(f"family {i}", drawn(generator, deviation)) for i in range(number)]


def test_an_interval_is_smyths_moderated_t() -> None:
    # limma: df.total = df.prior + df.residual; s2.post = (df.prior·s2.prior + df.residual·s2) / df.total.
    within = 0.01**2  # the median of the known squared errors
    prior_variance, variance = 0.02**2 + within, stdev(FOUR.values) ** 2
    posterior = (4 * prior_variance + 3 * variance) / (4 + 3)
    half = stats.t.ppf(0.995, 7) * math.sqrt(posterior / 4)
    found = estimate(FOUR, PRIOR)
    assert (found.point, found.low, found.high) == pytest.approx((0.11, 0.11 - half, 0.11 + half))
    assert (found.deviation, found.degrees, found.visits) == pytest.approx((math.sqrt(posterior), 7, 4))
    assert (found.half_width, found.prior) == (pytest.approx(half), "run")


def test_an_endless_prior_is_the_normal_distribution() -> None:
    found = estimate(FOUR, dataclasses.replace(PRIOR, degrees=math.inf))
    assert found.half_width == pytest.approx(stats.norm.ppf(0.995) * math.hypot(0.02, 0.01) / 2, rel=1e-5)


def test_without_a_prior_it_is_students_t_of_the_visits() -> None:
    found = estimate(FOUR, None, 0.95)
    low, high = stats.t.interval(0.95, 3, 0.11, stats.sem(FOUR.values))
    assert (found.low, found.high, found.prior) == (pytest.approx(low), pytest.approx(high), "none")


def test_from_five_visits_on_one_in_five_is_trimmed_at_either_end() -> None:
    values = (0.1, 0.11, 0.09, 0.1, 0.1, 3.0)
    found = estimate(Visits(values, (None,) * 6), PRIOR)
    assert found.point == pytest.approx(stats.trim_mean(values, 0.2)) == pytest.approx(0.1025)
    assert found.half_width < 0.03


def test_a_trimmed_mean_has_the_standard_error_of_tukey_and_mclaughlin() -> None:
    values = random.Random(1).choices(range(100), k=12)
    winsorised = stats.mstats.winsorize(np.array(values, float), (2 / 12, 2 / 12))
    error = math.sqrt(11 * np.var(winsorised, ddof=1) / (8 * 7))
    found = trimmed_mean(values)
    assert math.sqrt(found.variance * found.inflation / 12) == pytest.approx(error)


@pytest.mark.parametrize("count", [5, 6, 8, 9, 10, 12, 19, 20, 40])
def test_the_constants_of_trimmed_means_match_simulated_normal_samples(count: int) -> None:
    generator, number, trimmed = np.random.default_rng(count), 200_000, count // 5
    values = np.sort(generator.standard_normal((number, count)), axis=1)
    kept = values[:, trimmed : count - trimmed]
    squares = np.clip(values, kept[:, :1], kept[:, -1:]).var(axis=1) * count
    found = trimmed_mean([float(i) for i in range(count)])
    assert found.inflation == pytest.approx(count * kept.mean(axis=1).var(), rel=0.015)
    # The logarithm of a variance with d degrees of freedom has the variance ψ′(d/2).
    assert float(stats.loggamma(found.degrees / 2).var()) == pytest.approx(np.log(squares).var(), rel=0.04)


@given(some_visits(), st.randoms())
def test_the_order_of_visits_does_not_matter(visits: Visits, generator: random.Random) -> None:
    pairs = list(zip(visits.values, visits.errors, strict=True))
    generator.shuffle(pairs)
    shuffled = Visits(tuple(value for value, _ in pairs), tuple(error for _, error in pairs))
    assert dataclasses.astuple(estimate(shuffled, PRIOR)) == pytest.approx(dataclasses.astuple(estimate(visits, PRIOR)))


@given(some_visits(least=2), FACTORS)
def test_a_factor_of_all_deviations_is_one_of_the_interval(visits: Visits, factor: float) -> None:
    plain = estimate(visits, PRIOR)
    wider = estimate(scaled(visits, factor), dataclasses.replace(PRIOR, deviation=factor * PRIOR.deviation))
    expected = (factor * plain.point, factor * plain.half_width, plain.degrees)
    assert (wider.point, wider.half_width, wider.degrees) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(runs(), FACTORS)
def test_a_factor_of_all_deviations_is_one_of_the_prior(comparisons: list[tuple[str, Visits]], factor: float) -> None:
    plain, wider = fit(comparisons), fit([(family, scaled(visits, factor)) for family, visits in comparisons])
    assert plain is not None
    assert wider is not None
    assert wider.deviation == pytest.approx(factor * plain.deviation, rel=1e-6, abs=1e-12)
    assert wider.degrees == pytest.approx(plain.degrees, rel=1e-6)


@given(some_visits(), LOGS)
def test_a_shift_of_all_values_shifts_the_interval(visits: Visits, shift: float) -> None:
    plain = estimate(visits, PRIOR)
    moved = estimate(Visits(tuple(value + shift for value in visits.values), visits.errors), PRIOR)
    assert (moved.low, moved.high) == pytest.approx((plain.low + shift, plain.high + shift), abs=1e-9)


@given(some_visits(), st.none() | st.just(PRIOR) | st.just(TYPICAL["times"]))
def test_whatever_the_visits_are_there_is_an_answer(visits: Visits, prior: Prior | None) -> None:
    found = estimate(visits, prior)
    assert found.low <= found.point <= found.high
    assert min(visits.values) - 1e-12 <= found.point <= max(visits.values) + 1e-12
    assert math.isfinite(found.half_width) == (prior is not None or len(visits.values) > 1)
    assert found.half_width >= stats.norm.ppf(0.995) * math.sqrt(visits.within / len(visits.values)) * (1 - 1e-9)


@given(some_visits(least=1, most=39), LOGS)
def test_one_more_visit_never_takes_the_answer_away(visits: Visits, value: float) -> None:
    more = Visits((*visits.values, value), (*visits.errors, None))
    for prior in (None, PRIOR):
        assert math.isfinite(estimate(more, prior).half_width)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 40])
@pytest.mark.parametrize("error", [None, 0.0])
def test_equal_visits_have_an_interval(count: int, error: float | None) -> None:
    equal = Visits((0.5,) * count, (error,) * count)
    assert 0 < estimate(equal, PRIOR).half_width < 0.1
    assert estimate(equal, None).half_width == (0 if count > 1 else math.inf)
    assert estimate(equal, Prior(0.0, 4.0, 30, "run")).half_width == 0


def test_families_whose_visits_are_all_equal_have_a_prior_without_deviation() -> None:
    found = fit([(f"family {i}", Visits((0.5, 0.5), (None, None))) for i in range(MIN_FAMILIES)])
    assert found is not None
    assert found.deviation == 0
    assert math.isfinite(found.degrees)


def test_a_single_visit_is_as_uncertain_as_the_prior_and_its_placements_say() -> None:
    found = estimate(Visits((0.3,), (0.01,)), PRIOR)
    half = stats.t.ppf(0.995, 4) * math.hypot(0.02, 0.01)
    assert (found.low, found.high, found.degrees) == pytest.approx((0.3 - half, 0.3 + half, 4))


def test_a_single_visit_without_a_prior_has_no_interval() -> None:
    found = estimate(Visits((0.3,), (0.01,)), None)
    assert (found.point, found.low, found.high, found.degrees) == (0.3, -math.inf, math.inf, 0)


def test_an_interval_is_never_narrower_than_the_placements_within_the_visits_allow() -> None:
    exact = Visits((0.3,) * 4, (0.05,) * 4)
    assert estimate(exact, None).half_width == pytest.approx(stats.norm.ppf(0.995) * 0.05 / 2)
    assert difference(exact, exact, None, None).half_width == pytest.approx(stats.norm.ppf(0.995) * 0.05 / math.sqrt(2))


def test_one_disturbed_visit_does_not_widen_what_the_others_know() -> None:
    assert Visits((0.1, 0.1, 0.1, 0.1), (0.01, 0.5, 0.01, 0.01)).within == pytest.approx(0.01**2)


@pytest.mark.parametrize("values", [(), (math.nan,), (0.1, math.inf)])
def test_values_that_are_no_numbers_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="visits need finite values"):
        Visits(values, (None,) * len(values))


@pytest.mark.parametrize(
    ("errors", "reason"), [((0.1,), "2 visits"), ((0.1, -1.0), "neg"), ((0.1, math.nan), "finite")]
)
def test_errors_that_are_no_errors_are_refused(errors: tuple[float, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Visits((0.1, 0.2), errors)


def test_the_likelihood_is_that_of_the_f_distribution() -> None:
    sample = SampleVariance(3e-4, 3.0, 1e-4, 1.0)
    ratio = 3e-4 / (2e-4 + 1e-4)
    expected = math.log(0.95 * ratio * stats.f(3, 4).pdf(ratio) + 0.05 / 20)
    assert log_likelihood([sample], 2e-4, 4.0) == pytest.approx(expected)
    density = lambda log: math.exp(log) * stats.f(3, 4).pdf(math.exp(log))  # noqa: E731
    assert integrate.quad(density, -60, 60)[0] == pytest.approx(1)


def test_the_prior_of_many_families_is_the_distribution_of_their_variances() -> None:
    generator = np.random.default_rng(4)
    comparisons = []
    for i in range(400):
        total = math.sqrt((0.02**2 + 0.01**2) * 4 / generator.chisquare(4))  # s0 2 %, w 1 %, d0 4
        comparisons.append((f"family {i}", Visits(tuple(map(float, generator.normal(0, total, 4))), (0.01,) * 4)))
    found = fit(comparisons)
    assert found is not None
    assert found.deviation == pytest.approx(0.02, rel=0.15)
    assert 2.5 < found.degrees < 6
    assert (found.families, found.source) == (400, "run")


def test_fewer_than_five_families_with_two_visits_give_no_prior() -> None:
    generator = np.random.default_rng(1)
    few = families(generator, MIN_FAMILIES - 1)
    several_comparisons = [*few, (few[0][0], drawn(generator, 0.02)), ("once", Visits((0.1,), (0.01,)))]
    assert fit(several_comparisons) is None
    assert fit([*few, ("another", drawn(generator, 0.02))]) is not None


def test_many_comparisons_of_one_family_count_as_one_family() -> None:
    generator = np.random.default_rng(2)
    ten = families(generator, 10)
    again = [(family, visits) for family, visits in ten for _ in range(7)]
    once, often = fit(ten), fit(again)
    assert once is not None
    assert often is not None
    assert (often.deviation, often.degrees, often.families) == pytest.approx((once.deviation, once.degrees, 10))


def test_a_family_with_a_huge_variance_gets_its_own_interval_and_spoils_no_other() -> None:
    generator = np.random.default_rng(3)
    comparisons = families(generator, 30)
    wild = Visits(tuple(50 * value for value in drawn(generator, 0.02).values), (0.01,) * 4)
    before, after = fit(comparisons), fit([*comparisons, ("wild", wild)])
    assert before is not None
    assert after is not None
    of_others = [estimate(visits, after).half_width / estimate(visits, before).half_width for _, visits in comparisons]
    assert max(of_others) < 1.1
    alone = estimate(wild, None)
    assert estimate(wild, after).half_width == pytest.approx(alone.half_width, rel=0.01)
    assert estimate(wild, after).degrees == pytest.approx(3, abs=0.05)


def test_a_variance_that_the_prior_expects_keeps_all_prior_degrees() -> None:
    limit = math.sqrt(stats.f.isf(UNLIKELY, 1, 4)) * 0.02  # of the deviation of two visits
    inside, outside = (Visits((0.0, factor * limit * math.sqrt(2)), (None, None)) for factor in (0.999, 1.2))
    assert estimate(inside, PRIOR).degrees == 5
    assert 1 < estimate(outside, PRIOR).degrees < 5


def test_the_prior_is_the_runs_else_the_machines_else_none() -> None:
    generator = np.random.default_rng(5)
    many, few = families(generator, 10), families(generator, 3)
    machine = Prior(0.02, 4.0, 30, "machine")
    assert prior_for("speedups", many, machine) == fit(many)
    assert prior_for("speedups", few, machine) == machine
    assert prior_for("speedups", few, None) is None


def test_the_built_in_prior_is_for_one_or_two_visits_on_an_unknown_machine() -> None:
    once, twice, thrice = (Visits((0.1, 0.13, 0.11)[:number], (0.01,) * number) for number in (1, 2, 3))
    prior = prior_for("speedups", [("a", once), ("b", thrice)], None)
    assert prior == TYPICAL["speedups"]
    found = [estimate(visits, prior) for visits in (once, twice, thrice)]
    assert [each.prior for each in found] == ["typical", "typical", "none"]
    assert math.inf > found[0].half_width > found[1].half_width > found[2].half_width
    assert found[2] == estimate(thrice, None)
    assert prior_for("speedups", [("b", thrice)], None) is None


@pytest.mark.parametrize(
    ("of", "deviation", "degrees", "families"),
    [
        ("speedups", 0.02, 2.0, 52),
        ("copies", 0.005, 2.0, 12),
        ("times", 0.05, 1.4, 78),
        ("sides", 0.02, 1.4, 36),
        ("device speedups", 0.02, 2.0, 52),
    ],
)
def test_a_single_visit_on_an_unknown_machine_rests_on_what_was_measured_elsewhere(
    of: PriorOf, deviation: float, degrees: float, families: int
) -> None:
    """The first and the third are in docs/method.md, too."""
    once = Visits((0.1,), (0.0,))
    prior = prior_for(of, [("a", once)], None)
    assert prior == Prior(deviation, degrees, families, "typical")
    width = deviation * stats.t.isf(0.005, degrees)
    assert estimate(once, prior).half_width == pytest.approx(width, rel=1e-6)


def test_two_visits_alone_rest_on_that_too_and_a_third_makes_it_needless() -> None:
    twice, thrice = Visits((0.1, 0.11), (None,) * 2), Visits((0.1, 0.11, 0.12), (None,) * 3)
    assert prior_for("times", [("a", twice)], None) == TYPICAL["times"]
    assert prior_for("times", [("a", thrice)], None) is None


def test_what_varies_no_more_than_is_expected_keeps_all_degrees_of_the_prior() -> None:
    assert prior_degrees(1e-4, 3.0, 1e-4, 4.0) == 4.0
    assert prior_degrees(0.0, 3.0, 0.0, 4.0) == 4.0
    assert prior_degrees(1e-4, 3.0, 0.0, 4.0) == 0.0  # nothing was expected at all
    assert prior_degrees(9.0, 0.0, 1e-4, 4.0) == 4.0  # of a single visit
    assert 0 < prior_degrees(9e-4, 3.0, 1e-4, 4.0) < 4.0


def test_five_families_with_two_visits_are_enough_for_a_prior() -> None:
    generator = np.random.default_rng(6)
    assert fit(families(generator, 4)) is None
    found = fit(families(generator, 5))
    assert found is not None
    assert (found.families, found.source) == (5, "run")


def test_a_difference_of_two_runs_is_welchs() -> None:
    other = Visits((0.30, 0.35, 0.31), (None, None, None))
    found = difference(other, FOUR, None, None, 0.95)
    expected = stats.ttest_ind(other.values, FOUR.values, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.point == pytest.approx(fmean(other.values) - 0.11)


@given(some_visits(), some_visits())
def test_a_difference_has_the_opposite_sign_the_other_way_round(a: Visits, b: Visits) -> None:
    forth, back = difference(a, b, PRIOR, PRIOR), difference(b, a, PRIOR, PRIOR)
    assert (forth.point, forth.low, forth.high) == pytest.approx((-back.point, -back.high, -back.low))


def test_a_difference_from_a_single_visit_without_a_prior_has_no_interval() -> None:
    found = difference(FOUR, Visits((0.1,), (0.01,)), PRIOR, None)
    assert (found.low, found.high, found.degrees) == (-math.inf, math.inf, 0)
    assert found.visits == 1


def test_equal_visits_in_two_runs_differ_by_nothing() -> None:
    found = difference(Visits((0.5,) * 3, (0.0,) * 3), Visits((0.5,) * 3, (0.0,) * 3), None, None)
    assert (found.point, found.low, found.high, found.degrees) == (0, 0, 0, 4)
