"""A time alone says how far it can be trusted: no other case beside it would show that the machine was busy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.table import gaps, sentence_of_time


def result(low: float, high: float, baseline: Any = None, verdict: str = "same") -> Any:
    return SimpleNamespace(
        name="f", seconds=18.8e-3, seconds_interval=(low, high), baseline=baseline, verdict=verdict, withheld=""
    )


def comparison(*results: Any) -> Any:
    return SimpleNamespace(results=results, failed={}, skipped={}, stopped="", noise=["the machine was disturbed"])


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (18.6e-3, 19e-3, "f takes 18.8 ms per call (18.6 to 19.0 ms)"),
        (0.7e-3, 498e-3, "f takes about 18.8 ms per call: not settled (0.700 to 498 ms)"),
    ],
)
def test_a_wide_interval_is_called_not_settled(low: float, high: float, says: str) -> None:
    assert sentence_of_time(result(low, high)) == says


def test_the_noise_is_shown_beside_a_time_alone_and_an_unclear_verdict() -> None:
    alone = result(18.6e-3, 19e-3)
    assert gaps(comparison(alone)) == ["the machine was disturbed"]
    assert gaps(comparison(alone, result(1, 1, alone, "faster"))) == []
    assert gaps(comparison(alone, result(1, 1, alone, "unclear"))) == ["the machine was disturbed"]
