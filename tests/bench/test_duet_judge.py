"""From pairs to verdicts: how often identical sides are called different, and different ones found."""

import random

import pytest

from torchduet.bench.duet.judge import (
    SCREENING_PAIRS,
    confirmed,
    difference,
    looks_different,
    p_value,
    pairs_needed,
    pairs_worth_it,
    screened,
)
from torchduet.bench.record.duet_words import headline, ordered, stages
from torchduet.bench.record.statistics import walsh_rank


def pairs(rng: random.Random, effect: float, spread: float, n: int) -> list[float]:
    """Log ratios of n pairs, each with the chance of its two processes."""
    return [rng.gauss(effect, spread) for _ in range(n)]


def two_stages(rng: random.Random, effects: list[float], spread: float) -> dict[int, str]:
    """Case → verdict after screening and confirming on fresh data."""
    looks = [n for n, one in enumerate(effects) if looks_different(pairs(rng, one, spread, SCREENING_PAIRS))]
    needed = pairs_needed(len(looks))
    return {n: j.verdict for n, j in confirmed({n: pairs(rng, effects[n], spread, needed) for n in looks}).items()}


def test_the_difference_of_a_pair_is_the_median_over_its_turns() -> None:
    assert difference([2.0, 4.0, 90.0], [1.0, 2.0, 1.0]) == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize("spread", [0.005, 0.02, 0.06])
def test_identical_sides_are_hardly_ever_called_different(spread: float) -> None:
    rng = random.Random(3)
    alarms = sum(
        verdict in ("faster", "slower") for _ in range(60) for verdict in two_stages(rng, [0.0] * 40, spread).values()
    )
    assert alarms <= 1  # in 30 runs of 40 comparisons; at most 1 % of the runs may have one


def test_a_slow_down_of_five_per_cent_is_found() -> None:
    rng = random.Random(4)
    found = [two_stages(rng, [0.0] * 20 + [-0.0488], 0.012).get(20) for _ in range(100)]
    assert found.count("slower") >= 95


def disturbed_pairs(rng: random.Random, n: int) -> list[float]:
    """A change by 5 % on a machine that others share: one pair in 14 is off by another tenth, either way."""
    found = pairs(rng, -0.0488, 0.02, n)
    return [one + rng.choice([-1, 1]) * rng.expovariate(10) if rng.random() < 1 / 14 else one for one in found]


def test_as_many_pairs_as_are_worth_it_find_five_per_cent_on_a_disturbed_machine() -> None:
    rng = random.Random(7)
    found = {
        number: [
            judgement.verdict
            for _ in range(12)
            for judgement in confirmed({case: disturbed_pairs(rng, number) for case in range(13)}).values()
        ]
        for number in (pairs_needed(13), pairs_worth_it(13))
    }
    few, enough = found.values()
    assert few.count("slower") <= 0.75 * len(few)
    assert enough.count("slower") >= 0.93 * len(enough)


def test_what_is_the_same_is_shown_by_screening_alone() -> None:
    rng = random.Random(5)
    assert screened(pairs(rng, 0.0, 0.003, SCREENING_PAIRS)).verdict == "same"
    assert screened(pairs(rng, 0.0, 0.03, SCREENING_PAIRS)).verdict == "unclear"
    assert screened([0.2, 0.21, 0.2, 0.19, 0.2]).verdict == "unclear"  # never faster before it is confirmed


def test_a_large_effect_is_confirmed_whatever_its_interval() -> None:
    assert looks_different([0.05, 0.06, 0.05, -0.001, 0.05])
    assert not looks_different([0.004, 0.003, 0.005, 0.004, 0.004])


@pytest.mark.parametrize(("cases", "pairs"), [(1, 10), (2, 11), (3, 12), (10, 13), (60, 16)])
def test_more_cases_need_more_pairs(cases: int, pairs: int) -> None:
    assert pairs_needed(cases) == pairs
    assert walsh_rank(pairs - 2, 1 - 0.01 / cases) is not None


def test_p_value_is_the_exact_signed_rank_tests() -> None:
    assert p_value([0.1 + 0.001 * i for i in (3, 1, 4, 2, 5, 7, 6, 8)]) == pytest.approx(2 / 2**8)
    assert p_value([0.0] * 10) == 1


def test_holm_judges_the_surest_at_the_strictest_level_and_keeps_interval_and_verdict_together() -> None:
    rng = random.Random(6)
    judged = confirmed(
        {
            "nothing": pairs(rng, 0.0, 0.01, 12),
            "large": pairs(rng, 0.2, 0.01, 12),
            "barely": pairs(rng, 0.025, 0.02, 12),
        }
    )
    assert {name: one.verdict for name, one in judged.items()} == {
        "large": "faster",
        "nothing": "same",
        "barely": "unclear",
    }
    assert judged["large"].estimate.confidence == pytest.approx(1 - 0.01 / 3)
    for one in judged.values():
        assert one.verdict == one.estimate.verdict()


def test_the_answer_in_words() -> None:
    duet = {"base": {"label": "torch 2.12.0"}, "against": {"label": "torch 2.13.0"}, "screened": 4, "confirmed": 2}
    duet["confidence"] = 0.99
    verdicts = {"same": 1.0, "slower": 0.9, "faster": 1.3, "unclear": 1.01}
    records = [{"against": {"verdict": verdict, "ratio": ratio}} for verdict, ratio in verdicts.items()]
    said = headline(duet, records)  # type: ignore[arg-type]
    assert said == (
        "Of 4 cases, 1 is slower and 1 is faster in B (torch 2.13.0) than in A (torch 2.12.0); "
        "1 is the same, 1 is unclear."
    )
    assert [one["against"]["verdict"] for one in ordered(records)] == ["slower", "faster", "unclear", "same"]  # type: ignore[arg-type]
    assert "2 that looked different were measured again" in stages(duet)  # type: ignore[arg-type]
    for record in records[1:3]:
        record["against"]["note"] = "looked different, but there was no time; raise --budget"
    assert stages(duet, records).endswith("2 more looked different, but there was no time; raise --budget.")  # type: ignore[arg-type]
