"""Whether a ratio agrees with a claim: where the lines lie, and what a claim of several comparisons comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torchduet.reports.findings.claims import Finding, _verdict, outcome
from torchduet.reports.tables.pairs import PairRatio
from torchduet.suites.claim import MEMORY, Claim, Comparison, Variant

COMPARED = (Comparison("s", "w", {"mode": "compile"}, {"mode": "eager"}),)

VARIANT = Variant("s", "w", {}, {"mode": "compile"}, {"mode": "eager"})


def claim(expects: str = "faster", threshold: float = 1.0, measure: str = "time") -> Claim:
    return Claim("k", "it is so", "a text", COMPARED, expects=expects, threshold=threshold, measure=measure)


def pair(low: float | None, high: float | None, *, withheld: bool = False) -> PairRatio:
    return PairRatio(1.0 if low is None or high is None else (low + high) / 2, low, high, "unclear", 9, withheld)


@pytest.mark.parametrize(
    ("expects", "low", "high", "expected"),
    [
        ("faster", 1.021, 1.5, "holds"),
        ("faster", 1.02, 1.5, "unclear"),  # on the line is not beyond it
        ("faster", 0.5, 1.02, "fails"),
        ("faster", 0.5, 1.021, "unclear"),
        ("less", 1.021, 1.5, "holds"),
        ("slower", 0.5, 0.98, "holds"),
        ("slower", 0.5, 0.981, "unclear"),
        ("slower", 0.981, 1.5, "fails"),
        ("more", 0.5, 0.98, "holds"),
        ("not slower", 0.981, 1.5, "holds"),
        ("not slower", 0.97, 1.5, "unclear"),
        ("not slower", 0.5, 0.98, "fails"),
    ],
)
def test_the_whole_interval_lies_on_one_side_of_the_line(expects: str, low: float, high: float, expected: str) -> None:
    assert outcome(claim(expects), pair(low, high)) == expected


def test_a_claim_of_a_factor_has_its_own_line() -> None:
    double = claim(threshold=2.0)
    assert [outcome(double, pair(low, high)) for low, high in ((2.1, 3.0), (1.5, 2.0), (1.5, 2.1))] == [
        *("holds", "fails", "unclear")
    ]
    half = claim("slower", 2.0)
    assert [outcome(half, pair(low, high)) for low, high in ((0.3, 0.49), (0.5, 0.9), (0.4, 0.6))] == [
        *("holds", "fails", "unclear")
    ]


def test_without_an_interval_or_with_a_withheld_verdict_it_is_unclear() -> None:
    assert outcome(claim(), pair(None, None)) == "unclear"
    assert outcome(claim(), pair(2.0, None)) == "unclear"
    assert outcome(claim(), pair(2.0, 3.0, withheld=True)) == "unclear"


def test_the_peak_of_memory_of_one_process_is_exact() -> None:
    memory = claim("less", measure=MEMORY)
    assert outcome(memory, replace(pair(None, None), ratio=1.5)) == "holds"
    assert outcome(memory, replace(pair(None, None), ratio=1.01)) == "fails"


@pytest.mark.parametrize(
    ("outcomes", "all_of", "any_of"),
    [
        ("", "unmeasured", "unmeasured"),
        ("holds holds", "holds", "holds"),
        ("holds fails", "fails", "holds"),
        ("fails fails", "fails", "fails"),
        ("holds unclear", "unclear", "holds"),
        ("fails unclear", "fails", "unclear"),
        ("unclear", "unclear", "unclear"),
    ],
)
def test_one_contradiction_is_enough_and_with_any_of_one_agreement(outcomes: str, all_of: str, any_of: str) -> None:
    assert _verdict(outcomes.split(), any_of=False) == all_of
    assert _verdict(outcomes.split(), any_of=True) == any_of


@pytest.mark.parametrize(
    ("naive", "verdict", "opposite"),
    [
        (1.03, "faster", False),
        (1.01, "faster", True),
        (1.01, "same", False),
        (0.99, "same", False),
        (0.97, "same", True),
        (0.97, "slower", False),
        (1.03, "slower", True),
        (9.0, "unclear", False),
        (None, "faster", False),
    ],
)
def test_one_call_misleads_where_its_ratio_had_another_verdict(
    naive: float | None, verdict: str, opposite: bool
) -> None:
    found = Finding("it", "eager", "a1", replace(pair(1.0, 1.0), verdict=verdict), "holds", "cpu", naive)
    assert found.opposite is opposite


def test_a_claim_without_a_factor_or_a_measure_means_any_gain_in_time_on_any_device_in_all_comparisons() -> None:
    plain = Claim("k", "it is so", "a text", COMPARED)
    assert (plain.measure, plain.judged_on, plain.any_of) == ("time", "", False)
    assert outcome(plain, pair(1.021, 1.5)) == "holds"
    assert outcome(replace(plain, expects="slower"), pair(0.5, 0.97)) == "holds"
    assert plain.comparisons[0].side(VARIANT, 2) == "case"
    assert plain.comparisons[0].side(replace(VARIANT, suite="t"), 2) == ""
