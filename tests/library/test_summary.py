"""Summaries by which another process sees whether it computes the same."""

from __future__ import annotations

import torch

from torchduet.bench.timing.checking.results import results_of
from torchduet.bench.timing.checking.summary import Summary, differing, summary_of

X = torch.arange(6.0).reshape(2, 3)


def of(value: object) -> Summary:
    return summary_of(results_of(value))


def test_the_same_result_and_what_rounding_changes() -> None:
    assert differing(of(X), of(X.clone())) == ""
    assert differing(of((X, 3)), of((X * 1.001, 3))) == ""
    assert differing(of(X.to_sparse()), of(X.to_sparse())) == ""
    assert differing(of(torch.full((2,), torch.nan)), of(torch.full((2,), torch.nan))) == ""


def test_what_differs_is_named() -> None:
    assert "instead of" in differing(of(X * 2), of(X))
    assert "(3, 2) torch.float32 instead of (2, 3) torch.float32" in differing(of(X.T), of(X))
    assert "torch.float64 instead of" in differing(of(X.double()), of(X))
    assert differing(of((X, X)), of(X)) == "it returned 2 values instead of 1"
