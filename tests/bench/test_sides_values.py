"""The verdicts of a duet on single cases: how many pairs allow one, how sure one is, and what stands in the record."""

from __future__ import annotations

import math
from typing import Any

import pytest

from torchduet.bench.record.moderation import Prior, Visits
from torchduet.bench.record.visits.sides import first_pair, judged, p_value, with_pair, with_verdicts

Pair = tuple[list[list[float]], list[list[float]]]


def pair(ratio: float) -> Pair:
    """Two placements of A and B with three turns; A takes ``ratio`` times as long."""
    return [[ratio * 1e-3] * 3] * 2, [[1e-3] * 3] * 2


def record(*ratios: float) -> Any:
    against = first_pair(*pair(ratios[0]))
    for ratio in ratios[1:]:
        against = with_pair(against, *pair(ratio))
    return {"case": {"family": "w"}, "against": against}


def found(*ratios: float, prior: Prior | None = None) -> Any:
    return with_verdicts({"w": record(*ratios)}, prior)["w"]["against"]


SURE = Prior(1e-3, 50.0, 20, "run")


@pytest.mark.parametrize(
    ("pairs", "stage", "verdict"), [(1, "screened", "unclear"), (2, "screened", "unclear"), (3, "confirmed", "faster")]
)
def test_three_pairs_allow_a_verdict(pairs: int, stage: str, verdict: str) -> None:
    of = found(*[1.5] * pairs, prior=SURE)
    assert (of["pairs"], of["stage"], of["verdict"]) == (pairs, stage, verdict)
    visits = Visits((math.log(1.5),) * pairs, (1e-3,) * pairs)
    assert (p_value(visits, SURE) < 1) is (pairs == 3)


def test_a_new_record_says_that_nothing_is_settled() -> None:
    of = record(1.5)["against"]
    assert (of["verdict"], of["stage"], of["low"], of["high"], of["pairs"]) == ("unclear", "screened", None, None, 1)
    assert (of["confidence"], of["threshold"]) == (0.99, 0.02)
    assert of["ratio"] == pytest.approx(1.5)
    assert (of["base_seconds"], of["seconds"]) == (pytest.approx(1.5e-3), pytest.approx(1e-3))
    assert of["pair_ratios"] == [of["ratio"]]


def test_a_pair_adds_its_own_blocks_ratio_and_error() -> None:
    of = record(1.5, 3.0)["against"]
    assert of["pairs"] == 2
    assert of["pair_ratios"] == pytest.approx([1.5, 3.0])
    assert of["pair_errors"] == [0.0, 0.0]
    assert of["base_blocks"] == [pytest.approx([1.5e-3] * 6), pytest.approx([3e-3] * 6)]
    assert of["blocks"] == [[1e-3] * 6] * 2
    assert of["ratio"] == pytest.approx(1.5)  # of the first pair, until all are judged


def test_pairs_that_agree_to_the_last_digit_are_as_sure_as_can_be() -> None:
    alike = Visits((0.5,) * 4, (None,) * 4)
    assert p_value(alike, None) == 0.0
    assert judged({"a": alike}, None)["a"].verdict == "faster"
    assert p_value(Visits((0.5,), (None,)), None) == 1.0
    assert p_value(Visits((0.01,) * 4, (None,) * 4), None) == 1.0  # within the threshold


def test_beyond_the_threshold_the_chance_of_an_error_falls_with_the_excess_over_the_standard_error() -> None:
    """Of 1.02 times the threshold: Student's t of 4 degrees has 5 % beyond 2.776 standard errors on either side."""
    scatter = (-0.02, -0.01, 0.0, 0.01, 0.02)
    error = math.sqrt(sum(by**2 for by in scatter) / 4 / 5)
    at = math.log(1.02) + 2.776445 * error
    for sign in (1, -1):
        visits = Visits(tuple(sign * (at + by) for by in scatter), (None,) * 5)
        assert p_value(visits, None) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("log", [1.4, 69.0, 300.0])
def test_an_interval_that_is_too_wide_to_say_anything_is_none(log: float) -> None:
    """Half of that of two pairs is 63.7 times as wide as the pairs are from their middle: 89 for 1.4, 57 for 0.9."""
    of = found(math.exp(log), math.exp(-log))
    assert (of["low"], of["high"], "interval" in of) == (None, None, False)
    assert math.log(found(math.exp(0.9), math.exp(-0.9))["high"]) == pytest.approx(0.9 * 63.6567, rel=1e-4)
    assert found(1.5)["low"] is None  # of one pair without a prior
    known = found(1.4, 1.5, 1.6)
    assert known["low"] < 1.5 < known["high"]
    assert (known["interval"]["visits"], known["interval"]["prior"]) == (3, "none")


def test_degrees_without_end_are_a_million_in_the_record() -> None:
    of = found(1.49, 1.5, 1.51, prior=Prior(0.01, math.inf, 20, "machine"))
    assert (of["interval"]["degrees"], of["interval"]["prior"]) == (1e6, "machine")


def test_after_the_first_case_that_is_not_sure_enough_no_other_is_called_different() -> None:
    """Both would pass at the second level, a half of 1 %, but the surer one does not pass at the first, a third."""
    scatter = (-0.01, 0.01, -0.007, 0.007, -0.003, 0.003, -0.012, 0.012)

    def case(centre: float) -> Visits:
        return Visits(tuple(centre + by for by in scatter), (None,) * len(scatter))

    cases = {"a": case(0.0422), "b": case(0.0421), "nothing": Visits(tuple(by / 4 for by in scatter), (None,) * 8)}
    assert 0.01 / 3 < p_value(cases["a"], None) < p_value(cases["b"], None) < 0.01 / 2
    verdicts = {name: one.verdict for name, one in judged(cases, None).items()}
    assert verdicts == {"a": "unclear", "b": "unclear", "nothing": "same"}
    assert judged({name: cases[name] for name in "ab"}, None)["a"].verdict == "faster"
    assert [one.confidence for one in judged(cases, None).values()] == pytest.approx([1 - 0.01 / 3] * 2 + [0.99])


def test_each_case_that_is_sure_leaves_more_room_for_the_next() -> None:
    sure = Visits((0.5, 0.51, 0.49, 0.505), (None,) * 4)
    several = judged(dict.fromkeys("abcd", sure), None)
    assert [one.confidence for one in several.values()] == pytest.approx([1 - 0.01 / left for left in (4, 3, 2, 1)])
    assert judged({}, None) == {}


def test_two_pairs_that_agree_are_not_the_same_either() -> None:
    assert found(1.0, 1.0, prior=SURE)["verdict"] == "unclear"
    assert found(1.0, 1.0, 1.0, prior=SURE)["verdict"] == "same"


def test_what_lies_on_the_threshold_is_not_beyond_it() -> None:
    assert p_value(Visits((math.log1p(0.02),) * 4, (None,) * 4), None) == 1.0


def test_a_case_without_pairs_is_left_out_and_the_largest_threshold_counts() -> None:
    records = {"a": record(*[0.95] * 4), "b": record(*[0.95] * 4), "old": {"against": {"verdict": "slower"}}}
    assert {name: of["against"]["verdict"] for name, of in with_verdicts(records, None).items()} == {
        "a": "slower",
        "b": "slower",
    }
    records["b"]["against"]["threshold"] = 0.1
    assert {of["against"]["verdict"] for of in with_verdicts(records, None).values()} == {"same"}
