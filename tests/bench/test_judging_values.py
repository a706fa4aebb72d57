"""Verdicts of ``torchduet.compare`` by another threshold than the usual, and ratios visit by visit."""

from __future__ import annotations

import math
from typing import Any

import pytest

from torchduet.judging import judge_by, visits_of


def judged(verdict: str, low: float | None, high: float | None, threshold: float) -> dict[str, Any]:
    speedup = {"verdict": verdict, "low": low, "high": high, "threshold": 0.02}
    record: Any = {"speedups": [speedup]}
    judge_by(record, threshold)
    return speedup


@pytest.mark.parametrize(
    ("verdict", "low", "high", "threshold", "expected"),
    [
        ("faster", 1.03, 1.05, 0.1, "same"),
        ("same", 1.005, 1.015, 0.001, "faster"),
        ("same", 0.985, 0.995, 0.001, "slower"),
        ("unclear", 1.01, 1.05, 0.1, "same"),
        ("unclear", 1.03, 1.05, 0.1, "unclear"),  # withheld: by its interval it was faster
        ("faster", 1.03, 1.05, 0.02, "faster"),
        ("unclear", None, None, 0.1, "unclear"),
        ("unclear", 1.03, None, 0.1, "unclear"),
        ("unclear", None, 1.05, 0.1, "unclear"),
    ],
)
def test_another_threshold_gives_another_verdict_unless_it_was_withheld(
    verdict: str, low: float | None, high: float | None, threshold: float, expected: str
) -> None:
    found = judged(verdict, low, high, threshold)
    assert (found["verdict"], found["threshold"]) == (expected, threshold)


def record(visits: list[tuple[float, int]], *blocks: float) -> Any:
    timing = {"visits": [{"at": at, "placements": number} for at, number in visits]}
    return {"timing": {**timing, "blocks": [[seconds] for seconds in blocks]}}


def test_a_visits_ratio_is_the_references_time_over_the_cases_in_the_visits_that_both_have() -> None:
    reference = record([(0.0, 1), (5.0, 2), (9.0, 1)], 4.0, 8.0, 2.0, 3.0)
    case = record([(0.0, 1), (9.0, 1), (12.0, 1)], 1.0, 6.0, 7.0)
    found = visits_of(reference, case)
    assert found.values == pytest.approx((math.log(4.0), math.log(0.5)))
    assert found.errors == (None, None)
