"""``each=`` names the argument whose items a workload visits in turn; what cannot be visited is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torchduet import Implementation, Suite, SuiteError
from torchduet.bench.timing.changed_inputs import refuse_no_items
from torchduet.bench.timing.checking.dense import CheckError
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


class Batches:
    """A collection of a library's own."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        return iter((1.0, 2.0))


@pytest.mark.parametrize("items", [[1], (1, 2), torch.ones(3, 2), Batches(), iter([1])])
def test_what_has_items_in_an_order_is_visited(items: Any) -> None:
    refuse_no_items("batches", (None, items), ("model", "batches"))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "inputs= returns an empty list; return one item at least"),
        (torch.ones(0, 2), "inputs= returns an empty Tensor; return one item at least"),
        (None, "inputs= returns NoneType for it; return a list of its items"),
        ({"a": 1}, "inputs= returns dict for it; return a list of its items"),
        ({1, 2}, "inputs= returns set for it; return a list of its items"),
        ("abc", "inputs= returns str for it; return a list of its items"),
        (torch.tensor(1.0), "inputs= returns Tensor for it; return a list of its items"),
    ],
)
def test_what_has_none_is_refused_in_one_line(items: Any, words: str) -> None:
    with pytest.raises(CheckError) as refused:
        refuse_no_items("batches", (None, items), ("model", "batches"))
    assert str(refused.value) == f"each='batches': {words}"
    refuse_no_items("", (None, items), ("model", "batches"))
