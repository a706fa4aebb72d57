"""Where noise makes a verdict chance, no test fails for it, and the duet is measured once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchduet
from torchduet.bench.record.marks import NO_VERDICT
from torchduet.own_tests import fixture
from torchduet.own_tests.options import Options
from torchduet.own_tests.outcomes import Duets

OPTIONS = Options(None, None, 1, None, False, "", False, False, None)


def compared(*functions: Any, **_: Any) -> torchduet.Comparison:
    return torchduet.compare(*functions, budget="300ms", processes=False, threads=1)


def slow(x: torch.Tensor) -> torch.Tensor:
    for _ in range(5):
        torch.exp(x)
    return torch.exp(x)


def withheld(comparison: torchduet.Comparison) -> torchduet.Comparison:
    for result in comparison.results:
        result.notes[:] = [f"{NO_VERDICT}10 % of the blocks had a context switch; close what else is running"]
    return comparison


def test_a_withheld_verdict_fails_only_where_unclear_ones_do() -> None:
    comparison = withheld(compared(slow, torch.exp, torch.randn(2000)))
    assert comparison.withheld == "10 % of the blocks had a context switch; close what else is running"
    comparison.assert_not_slower()
    with pytest.raises(AssertionError, match="slow may take"):
        comparison.assert_not_slower(unclear="fail")


@pytest.mark.parametrize(("noisy", "times"), [(0, 1), (1, 2), (2, 2)])
def test_a_duet_is_measured_once_more(monkeypatch: pytest.MonkeyPatch, noisy: int, times: int) -> None:
    found = []

    def compare(*functions: Any, **keywords: Any) -> torchduet.Comparison:
        comparison = compared(*functions, **keywords)
        for result in comparison.results:
            result.notes[:] = [note for note in result.notes if not note.startswith(NO_VERDICT)]
        found.append(withheld(comparison) if len(found) < noisy else comparison)
        return found[-1]

    monkeypatch.setattr(fixture, "compare", compare)
    duets = Duets()
    duet: Callable[..., Any] = fixture.Duet("test_a.py::test_b", ("test_a", "test_b"), {}, OPTIONS, duets)
    assert duet(slow, torch.exp, torch.randn(2000)) is found[-1]
    assert len(found) == times
    (outcome,) = duets.outcomes
    again = [warning for warning in outcome.run["warnings"] if "test_a.test_b: measured twice; the first" in warning]
    assert len(again) == times - 1
