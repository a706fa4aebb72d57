"""What a suite file may say of its processes, and the one line that refuses the rest."""

from typing import Any

import pytest
import torch
from torch import Tensor

from torchduet import Cost, Implementation, Suite
from torchduet.suites.workload import SuiteError

ALONE = Implementation(lambda x: x, alone=True)
BOTH = {"one": ALONE, "several": lambda x: x}
SEVERAL = {"several": lambda x: x}
AXIS = "an axis has the name of a parameter of ranks=; rename it"


def declared(implementations: Any, **details: Any) -> None:
    given: dict[str, Any] = {"inputs": lambda device: (torch.ones(2, device=device),), "modes": ["eager"]}
    Suite("declared").compare("w", implementations, **(given | details))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (["2", 1], "ranks has '2'; use whole numbers from 1"),
        ([0, 1], "ranks has 0; use whole numbers from 1"),
        ([-1, 1], "ranks has -1; use whole numbers from 1"),
        ([True, 2], "ranks has True; use whole numbers from 1"),
        ([1.5], "ranks has 1.5; use whole numbers from 1"),
        (["cores"], "ranks has 'cores'; use whole numbers from 1"),
        ("2", "ranks='2' cannot be used; give a list or an Axis"),
        (2, "ranks=2 cannot be used; give a list or an Axis"),
        ([], "ranks=[] cannot be used; give a list or an Axis"),
        ([1, 1], "a value is listed twice"),
        ([2], "'one' is alone=True, and ranks= lacks 1, with which it is compared"),
    ],
)
def test_numbers_that_are_refused(numbers: Any, words: str) -> None:
    with pytest.raises(SuiteError) as error:
        declared(BOTH, ranks=numbers)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("implementations", "details", "words"),
    [
        (SEVERAL, {"shard": lambda x: (x,)}, "shard= is given without ranks=; ranks=[1, 2, …] declares"),
        (SEVERAL, {"joint": lambda x: x}, "joint= is given without ranks=; ranks=[1, 2, …] declares"),
        ({"one": ALONE}, {}, "Implementation 'one' has alone=True without ranks="),
        ({"part": Implementation(lambda x: x, part=True)}, {}, "Implementation 'part' has part=True without ranks="),
        ({"odd": Implementation(lambda x: x, alone="yes")}, {"ranks": [1]}, "'odd' has alone='yes'; give True or"),
        ({"odd": Implementation(lambda x: x, alone=True, part=True)}, {"ranks": [1]}, "is both alone=True"),
        ({"one": ALONE}, {"ranks": [1]}, "every implementation is alone=True; leave ranks= out"),
        (SEVERAL | {"one": ALONE}, {"ranks": [1], "joint": lambda x: x}, "'one' is alone=True; list it first"),
        (SEVERAL, {"ranks": [1, 2]}, "nothing says what a rank's result must be"),
        (BOTH, {"ranks": [1], "fresh": True}, "ranks= cannot be combined with fresh=True"),
        (BOTH, {"ranks": [1], "shard": "x"}, "shard='x' cannot be used; give a function"),
        (BOTH, {"ranks": [1], "joint": 3}, "joint=3 cannot be used; give a function"),
    ],
)
def test_declarations_that_are_refused(implementations: Any, details: dict[str, Any], words: str) -> None:
    with pytest.raises(SuiteError) as error:
        declared(implementations, **details)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["rank", "ranks"])
def test_an_axis_cannot_have_the_name_of_a_parameter_of_ranks(name: str) -> None:
    def inputs(device: torch.device, **size: int) -> tuple[Tensor]:
        return (torch.ones(size[name], device=device),)

    with pytest.raises(SuiteError, match=AXIS):
        declared(BOTH, ranks=[1], axes={name: [1]}, inputs=inputs)


def test_a_cost_is_asked_for_with_every_number_of_ranks_and_with_no_other() -> None:
    asked: list[int] = []

    def cost(ranks: int) -> Cost:
        asked.append(ranks)
        return Cost(message=8 / (ranks - 1))

    declared(SEVERAL, joint=lambda x: x, ranks=[2, 4], cost=cost)
    assert asked == [2, 4]
    with pytest.raises(SuiteError, match=r"cost= raised ZeroDivisionError for \{\}: float division by zero"):
        declared(BOTH, ranks=[1, 2], cost=lambda ranks: Cost(message=8 / abs(ranks - 2.0)))
