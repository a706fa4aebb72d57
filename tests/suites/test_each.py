"""``each=`` names the argument whose items a workload visits in turn; what cannot be visited is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet import Implementation, Suite, SuiteError
from torchduet.suites.workload import COMPILED, DYNAMIC, GRAPHED, IMPLIED, MODES, OF_MODELS, OPTIMIZING


def step(model: Any, batches: Any) -> Any:
    return model(batches)


def other(batches: Any, model: Any) -> Any:
    return model(batches)


def register(implementations: Any, **details: Any) -> Any:
    return Suite("mine").compare("w", implementations, inputs=lambda device: (len, [device]), **details)


def test_an_argument_is_named() -> None:
    assert register({"f": step}, each="batches").each == "batches"
    assert register({"f": step}).each == ""


@pytest.mark.parametrize(
    ("implementations", "details", "words"),
    [
        ({"f": step}, {"each": "rows"}, "names 'rows', which is no argument of 'f'; its arguments are model, batches"),
        ({"f": step, "g": other}, {"each": "batches"}, "needs 'batches' at the same position in every implementation"),
        ({"f": Implementation(step, setup=True)}, {"each": "batches"}, "cannot be combined with setup=True, as 'f'"),
        (
            {"f": step},
            {"each": "batches", "ranks": [1]},
            "each= cannot be combined with ranks=; give each size as an axis",
        ),
        ({"f": step}, {"each": 3}, "each"),
    ],
)
def test_refusals_are_one_line(implementations: Any, details: dict[str, Any], words: str) -> None:
    with pytest.raises(SuiteError) as refused:
        register(implementations, **details)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_modes_are_of_kinds_that_share_none() -> None:
    assert set(COMPILED) == {"compile", *OF_MODELS, *OPTIMIZING, *DYNAMIC}
    assert len(COMPILED) == 1 + len(OF_MODELS) + len(OPTIMIZING) + len(DYNAMIC)
    assert ("eager", *COMPILED, "graph") == MODES
    assert set(GRAPHED) < set(OPTIMIZING) < set(IMPLIED)
