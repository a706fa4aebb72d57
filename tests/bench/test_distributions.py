"""The distributions that the standard library lacks, held against scipy's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from torchduet.bench.record.distributions.polygamma import digamma, tetragamma, trigamma, trigamma_inverse
from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.bench.record.distributions.variance_ratio import upper_tail

ARGUMENTS = st.floats(1e-3, 1e6)


@given(st.floats(0.001, 0.9999), st.floats(0.2, 1e6))
def test_quantiles_of_students_t(confidence: float, degrees: float) -> None:
    expected = stats.t.isf((1 - confidence) / 2, degrees)
    assert two_sided_quantile(confidence, degrees) == pytest.approx(expected, rel=1e-7)


def test_endless_degrees_are_the_normal_distribution() -> None:
    assert two_sided_quantile(0.99, math.inf) == pytest.approx(stats.norm.ppf(0.995), rel=1e-12)


def test_a_quantile_beyond_every_float_is_infinite() -> None:
    assert two_sided_quantile(0.99, 1e-3) == math.inf


@pytest.mark.parametrize(("confidence", "degrees"), [(0.0, 3.0), (1.0, 3.0), (0.99, 0.0), (0.99, math.nan)])
def test_quantiles_that_do_not_exist_are_refused(confidence: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="a quantile of t needs"):
        two_sided_quantile(confidence, degrees)


@given(st.floats(0, 1e9), st.floats(0.5, 50), st.floats(1e-3, 1e6))
def test_the_upper_tail_of_fishers_f(ratio: float, degrees: float, prior: float) -> None:
    expected = stats.f.sf(ratio, degrees, prior)
    assert upper_tail(ratio, degrees, prior) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(ARGUMENTS)
def test_polygamma_functions(x: float) -> None:
    assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-10, abs=1e-10)
    assert trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-10)
    assert tetragamma(x) == pytest.approx(special.polygamma(2, x), rel=1e-10)
    assert trigamma_inverse(trigamma(x)) == pytest.approx(x, rel=1e-6)
