"""What functions read beside their arguments is found, and copies of them read other values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from torchduet.bench.inputs.captured import Captured

WEIGHT = torch.tensor([2.0])
UNUSED = torch.tensor([5.0])


def scaled(x: torch.Tensor) -> torch.Tensor:
    return x * WEIGHT


def through_another(x: torch.Tensor) -> torch.Tensor:
    return scaled(x) + 1


def in_nested_code(x: torch.Tensor) -> torch.Tensor:
    return next(part * WEIGHT for part in (x,))


def countdown(x: torch.Tensor, n: int = 2) -> torch.Tensor:
    return x * WEIGHT if n == 0 else countdown(x, n - 1)


def default(x: torch.Tensor, w: torch.Tensor = WEIGHT) -> torch.Tensor:
    return x * w


def closure() -> Callable[[torch.Tensor], torch.Tensor]:
    weight = WEIGHT

    def inner(x: torch.Tensor) -> torch.Tensor:
        return x * weight

    return inner


class Layer:
    def __init__(self) -> None:
        self.weight = WEIGHT

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


ONE = torch.ones(1)


def with_three(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with 3 in the place of every tensor of the value 2."""
    captured = Captured([function])
    assert len(captured.names) == len(captured.values)
    new: list[Any] = []
    for value in captured.values:
        if isinstance(value, torch.Tensor):
            new.append(torch.tensor([3.0]) if value is WEIGHT else value)
        elif isinstance(value, Layer):
            other = Layer()
            other.weight = torch.tensor([3.0])
            new.append(other)
        else:
            new.append(value)
    return captured.bind(function, new)


def test_every_way_to_read_a_tensor() -> None:
    functions: dict[str, Callable[..., Any]] = {
        "global": scaled,
        "a function that it calls": through_another,
        "nested code": in_nested_code,
        "recursion": countdown,
        "default value": default,
        "closure": closure(),
        "lambda": lambda x: x * WEIGHT,
        "bound argument": functools.partial(torch.mul, WEIGHT),
        "bound keyword": functools.partial(default, w=WEIGHT),
        "bound object": Layer().forward,
    }
    for name, function in functions.items():
        before = float(function(ONE))
        assert float(with_three(function)(ONE)) == before + 1, name
        assert float(function(ONE)) == before, f"{name}: the original is changed"


COUNT = 0


def counting(x: torch.Tensor) -> torch.Tensor:
    global COUNT
    COUNT += 1
    return x


def test_what_a_copy_writes_stays_in_it() -> None:
    calls = 0

    def enclosed(x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return x

    for function in (counting, enclosed):
        captured = Captured([function])
        captured.bind(function, captured.values)(ONE)
    assert COUNT == calls == 0


def test_functions_of_installed_packages_are_not_copied() -> None:
    relu = torch.nn.functional.relu
    captured = Captured([relu])
    assert captured.bind(relu, captured.values) is relu
    assert captured.functions == []


def test_only_what_is_read() -> None:
    captured = Captured([scaled])
    assert captured.names == ("WEIGHT",)
    assert not any(value is UNUSED for value in captured.values)
    assert Captured([torch.add, lambda x: x + 1]).values == ()


def test_an_object_of_a_users_module_whose_name_begins_like_an_installed_one() -> None:
    class Counter:
        calls = 0

    Counter.__module__ = "torch_helpers"
    counter = Counter()
    assert Captured([lambda: counter]).values == (counter,)


def test_functions_share_what_they_share() -> None:
    captured = Captured([scaled, default])
    assert len(captured.values) == 1
    new = [torch.tensor([7.0])]
    assert float(captured.bind(scaled, new)(ONE)) == float(captured.bind(default, new)(ONE)) == 7


def test_a_module_that_is_the_function_itself() -> None:
    layer, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    captured = Captured([layer])
    assert captured.bind(layer, [other]) is other


def test_a_copy_keeps_name_and_signature() -> None:
    import inspect

    bound = with_three(default)
    assert bound.__name__ == "default"
    assert [*inspect.signature(bound).parameters] == ["x", "w"]


def test_names_are_unique() -> None:
    def one() -> Callable[[], Any]:
        w = torch.ones(1)
        return lambda: w

    captured = Captured([one(), one()])
    assert len(set(captured.names)) == 2
