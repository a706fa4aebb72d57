"""A recompilation while timing is explained in the author's words, with what to do about its kind."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import Task
from torchduet.bench.timing.failures import describe
from torchduet.bench.workers.visit import measure

SCALE = 2


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def scaled(x: torch.Tensor, settings: Any) -> torch.Tensor:
    return x * settings.scale


def by_global(x: torch.Tensor) -> torch.Tensor:
    return x * SCALE


def by_number(x: torch.Tensor, number: float) -> torch.Tensor:
    return x * number


def branching(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    if y.sum() > 0:
        return y + 1
    return y - 1


def by_item(x: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    number = count.item()
    return x * number


def total(parts: list[torch.Tensor]) -> torch.Tensor:
    return sum(parts[1:], parts[0])


def why(function: Callable[..., Any], first: tuple[Any, ...], then: tuple[Any, ...], *before: Callable[[], Any]) -> str:
    compiled = torch.compile(function, backend="eager", dynamic=False)
    compiled(*first)
    for change in before:
        change()
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError) as caught:
        compiled(*then)
    return describe(caught.value, __file__)


def words(message: str, *parts: str) -> None:
    assert message.startswith("it was compiled again while being timed: ")
    assert "\n" not in message
    assert message.endswith('use modes=("eager",)')
    for part in parts:
        assert part in message, message


def test_a_size_and_a_dtype_that_change() -> None:
    message = why(twice, (torch.ones(3),), (torch.ones(4),))
    words(
        message,
        "tensor 'x' size mismatch at index 0. expected 3, actual 4",
        "make its inputs' sizes and strides constant",
    )
    message = why(twice, (torch.ones(3, 4),), (torch.ones(4, 3).T,))
    words(message, "tensor 'x' stride mismatch", "make its inputs' sizes and strides constant")
    message = why(twice, (torch.ones(3),), (torch.ones(3, dtype=torch.float64),))
    words(message, "tensor 'x' dtype mismatch", "make its inputs' dtypes, devices and requires_grad constant")
    assert "sizes" not in message
    message = why(total, ([torch.ones(2)] * 2,), ([torch.ones(2)] * 3,))
    words(message, "len(parts) == 2", "make its inputs' sizes constant")


def test_a_value_of_python_that_changes_is_named_with_its_line() -> None:
    settings, x = SimpleNamespace(scale=2), torch.ones(3)
    message = why(scaled, (x, settings), (x, settings), lambda: setattr(settings, "scale", 3))
    words(message, "settings.scale == 2", "test_recompilation.py:", "(return x * settings.scale)", "keep it constant")
    message = why(by_number, (x, 2), (x, 3))
    words(message, "number == 2", "(return x * number)", "pass it as a tensor")
    message = why(by_number, (x, 2), (x, 2.5))
    words(message, "number", "keep it constant")


def test_a_global_that_changes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(3)
    message = why(by_global, (x,), (x,), lambda: monkeypatch.setitem(globals(), "SCALE", 5))
    words(message, "SCALE == 2", "(return x * SCALE)", "keep it constant")
    assert "G[" not in message
    assert "sizes" not in message


def test_a_branch_that_the_data_choose_is_shown() -> None:
    message = why(branching, (torch.ones(3),), (-torch.ones(3),))
    words(message, "the data chose a branch at test_recompilation.py:", "(if y.sum() > 0:)", "take every branch")
    assert "sizes" not in message


def test_a_number_that_is_read_from_a_tensor_is_shown() -> None:
    x = torch.ones(3)
    message = why(by_item, (x, torch.tensor(3)), (x, torch.tensor(4)))
    words(message, "a number that is read at test_recompilation.py:", "(number = count.item())", "in a tensor")


def test_a_mode_of_pytorch_that_changes_is_named() -> None:
    x = torch.ones(3)
    with torch.set_grad_enabled(True):
        message = why(twice, (x,), (x,), lambda: torch.set_grad_enabled(False))
    words(message, "PyTorch's state changed (grad_mode)", "leave it as it is between calls")


def test_a_function_that_is_called_for_the_first_time_is_named() -> None:
    def negative(x: torch.Tensor) -> torch.Tensor:
        return -x

    def late(x: torch.Tensor) -> torch.Tensor:
        return compiled_late(x)

    compiled_late = torch.compile(negative, backend="eager")
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError) as caught:
        late(torch.ones(3))
    message = describe(caught.value, __file__)
    words(message, "negative at test_recompilation.py:", "was not called before", "call it in the first calls, too")


def test_a_workload_whose_data_choose_another_branch_later_says_so(tmp_path: Path) -> None:
    file = tmp_path / "suite.py"
    file.write_text(
        textwrap.dedent("""
        import torch
        from torchduet import Suite
        suite = Suite("s")
        CALLS = [0]
        @torch.compiler.disable
        def sign():
            CALLS[0] += 1
            return torch.tensor(1.0 if CALLS[0] < 60 else -1.0)
        @suite.workload(inputs=lambda device: (torch.ones(8),), check=False, deterministic=False)
        def w(x):
            h = x * sign()
            if h.sum() > 0:
                return h + 1
            return h - 1
        """)
    )
    cases = tuple(Case(str(file), "s", "w", "", (), "w", True, "cpu", mode, "fp32") for mode in ("eager", "compile"))
    eager, compiled = measure(Task(Family(cases, cases), 0.3, 1, str(tmp_path)), lambda *_: None).results
    assert eager.error is None
    words(str(compiled.error), "the data chose a branch at suite.py:13 (if h.sum() > 0:)")
