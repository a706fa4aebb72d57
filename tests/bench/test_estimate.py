"""The statistics: estimates, intervals and verdicts."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchduet.bench.record.statistics import (
    Speedup,
    calls_to_pay_off,
    drift_factor,
    hodges_lehmann,
    lag_one_correlation,
    placement_differences,
    seconds_per_call,
    signed_rank_counts,
    speedup,
    walsh_rank,
)


def test_hodges_lehmann_is_the_median_of_walsh_averages() -> None:
    # Walsh averages of 1, 2, 6: 1, 1.5, 3.5, 2, 4, 6 → median 2.75
    assert hodges_lehmann([1, 2, 6]).point == pytest.approx(2.75)


def test_signed_rank_distribution_is_scipys() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = random.Random(1)
    values = [rng.gauss(0.3, 1) for _ in range(12)]
    ranks = sorted(range(12), key=lambda i: abs(values[i]))
    w_plus = sum(rank + 1 for rank, i in enumerate(ranks) if values[i] > 0)
    counts = signed_rank_counts(12)
    upper = sum(counts[w_plus:]) / 2**12
    lower = sum(counts[: w_plus + 1]) / 2**12
    ours = min(1.0, 2 * min(upper, lower))
    assert ours == pytest.approx(scipy_stats.wilcoxon(values, method="exact").pvalue)


@pytest.mark.parametrize(("n", "rank"), [(7, None), (8, 1), (9, 2), (10, 4), (20, 38)])
def test_interval_steps_match_published_critical_values(n: int, rank: int | None) -> None:
    # Wilcoxon critical values for two-sided 1 %: 0, 1, 3, 37 at n = 8, 9, 10, 20.
    assert walsh_rank(n, 0.99) == rank


def test_too_few_placements_have_no_interval_and_no_verdict() -> None:
    interval = hodges_lehmann([0.1] * 7)
    assert math.isinf(interval.high)
    assert Speedup(2.0, 1.9, 2.1, placements=7).verdict() == "unclear"


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = random.Random(7)
    trials = 2000
    missed = 0
    for _ in range(trials):
        interval = hodges_lehmann([rng.gauss(0, 1) for _ in range(12)])
        missed += not interval.low <= 0 <= interval.high
    # 1 % expected; 2,000 trials exceed 2 % with probability below 1e-4.
    assert missed / trials <= 0.02


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=20), st.floats(-3, 3))
def test_estimate_follows_a_shift(values: list[float], shift: float) -> None:
    plain, moved = hodges_lehmann(values), hodges_lehmann([value + shift for value in values])
    assert moved.point == pytest.approx(plain.point + shift, abs=1e-9)
    assert moved.low <= moved.point <= moved.high


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.05, 1.1, "faster"),
        (0.9, 0.95, "slower"),
        (0.99, 1.01, "same"),
        (0.97, 1.5, "unclear"),
        (1.01, 1.1, "unclear"),
    ],
)
def test_verdict_needs_the_whole_interval(low: float, high: float, verdict: str) -> None:
    assert Speedup(math.sqrt(low * high), low, high, placements=8).verdict(0.02) == verdict


def test_pairing_cancels_what_both_sides_share() -> None:
    rng = random.Random(3)
    drift = [[math.exp(rng.gauss(0, 1)) for _ in range(9)] for _ in range(10)]
    reference = [[2.0 * d for d in rounds] for rounds in drift]
    case = [[1.0 * d for d in rounds] for rounds in drift]
    estimate = speedup(reference, case)
    assert estimate.ratio == pytest.approx(2.0)
    assert estimate.half_width < 1e-9


def test_speedup_of_the_inverse_is_the_inverse() -> None:
    rng = random.Random(4)
    a = [[math.exp(rng.gauss(0, 0.1)) for _ in range(5)] for _ in range(9)]
    b = [[math.exp(rng.gauss(0, 0.1)) for _ in range(5)] for _ in range(9)]
    forth, back = speedup(a, b), speedup(b, a)
    assert forth.ratio * back.ratio == pytest.approx(1)
    assert forth.low * back.high == pytest.approx(1)


def test_differences_are_paired_by_round() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        placement_differences([[1.0, 1.0]], [[1.0]])


def test_seconds_per_call_is_robust_to_one_bad_placement() -> None:
    blocks = [[1e-3] * 5] * 9 + [[1.0] * 5]
    assert seconds_per_call(blocks).point == pytest.approx(1e-3)


def test_compilation_pays_off_after_the_calls_that_earn_it_back() -> None:
    # 10 s of compilation, 2 ms saved per call of 4 ms.
    assert calls_to_pay_off(10.0, 4e-3, 2.0) == pytest.approx(5001)
    assert calls_to_pay_off(10.0, 4e-3, 0.9) is None
    assert calls_to_pay_off(0.0, 4e-3, 1.5) == 1


def drifting(rng: random.Random, correlation: float, n: int = 20) -> list[float]:
    """n values of unit variance, each correlated with the one before; their true centre is 0."""
    values = [rng.gauss(0, 1)]
    for _ in range(n - 1):
        values.append(correlation * values[-1] + math.sqrt(1 - correlation**2) * rng.gauss(0, 1))
    return values


def coverage(correlation: float, *, widened: bool) -> float:
    """How often the interval of a speed-up of 1 holds 1, over 1,000 drifting series."""
    rng = random.Random(11)
    held = 0
    for _ in range(1000):
        differences = drifting(rng, correlation)
        interval = hodges_lehmann(differences)
        factor = drift_factor(differences) if widened else 1.0
        held += (interval.low - interval.point) * factor <= -interval.point <= (interval.high - interval.point) * factor
    return held / 1000


def test_drift_is_seen_and_independence_is_left_alone() -> None:
    rng = random.Random(5)
    strong = [lag_one_correlation(drifting(rng, 0.8)) for _ in range(200)]
    none = [drift_factor(drifting(rng, 0.0)) for _ in range(200)]
    assert sum(strong) / 200 > 0.4
    assert sum(none) / 200 < 1.15
    assert drift_factor([1.0] * 9) == drift_factor([1.0, 2.0]) == 1


def test_widened_intervals_hold_the_truth_of_drifting_ratios_far_more_often() -> None:
    # Without widening, a 99 % interval misses ten times as often as it says, or more.
    assert coverage(0.5, widened=False) < 0.91
    assert coverage(0.5, widened=True) > 0.94
    assert coverage(0.0, widened=True) >= 0.985


def test_the_widening_is_part_of_every_speedup() -> None:
    slow_drift = [[math.exp(0.1 * math.sin(place / 5))] * 5 for place in range(20)]
    still = [[1.0] * 5 for _ in range(20)]
    shuffled = random.Random(2).sample(slow_drift, 20)
    assert speedup(slow_drift, still).half_width > 1.3 * speedup(shuffled, still).half_width
