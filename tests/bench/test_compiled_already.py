"""What its author compiled is called uncompiled in mode eager, or is left out of the answer for torch.compile."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import FamilyResult, Task
from torchduet.bench.timing.compile_watch import CompileWatch
from torchduet.bench.timing.dynamo import Uncompiling
from torchduet.bench.timing.first_calls import CALLS_COMPILED, UNCOMPILED
from torchduet.bench.workers.visit import measure

HEAD = """
import functools
import torch
from torch import nn
from torchduet import Implementation, Suite

suite = Suite("s")
compiled = functools.partial(torch.compile, backend="eager")

def vector(device):
    return (torch.randn(64).abs(),)

def chain(x):
    assert torch.compiler.is_compiling() is WANTED
    return torch.sin(x).cos()
"""


@pytest.fixture(autouse=True)
def fresh_dynamo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    torch._dynamo.reset()
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    yield
    torch._dynamo.reset()


def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def compiled(value: Any) -> Any:
    return torch.compile(value, backend="eager")


class Batch(NamedTuple):
    net: Any
    x: torch.Tensor


@dataclass
class Held:
    step: Any
    nested: dict[str, Any]


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


class Decorated(torch.nn.Module):
    @functools.partial(torch.compile, backend="eager")
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def in_place() -> torch.nn.Module:
    net = Net()
    net.compile(backend="eager")
    return net


def with_forward() -> torch.nn.Module:
    net = Net()
    net.forward = compiled(net.forward)  # type: ignore[method-assign]
    return net


NETS: dict[str, Callable[[], Any]] = {
    "the module itself": lambda: compiled(Net()),
    "twice": lambda: compiled(compiled(Net())),
    "a submodule": lambda: torch.nn.Sequential(torch.nn.ReLU(), compiled(Net())),
    "in place": in_place,
    "in place within": lambda: torch.nn.Sequential(in_place()),
    "its forward": with_forward,
    "by a decorator": Decorated,
}


def compiles(call: Callable[[], object]) -> bool:
    watch = CompileWatch()
    with watch.entries():
        call()
    return bool(watch.compiled() or watch.entered)


@pytest.mark.parametrize("how", NETS)
def test_a_module_is_uncompiled(how: str) -> None:
    net, x = NETS[how](), torch.ones(2, 2)
    assert compiles(lambda: net(x))
    uncompiling = Uncompiling()
    plain = uncompiling(net)
    assert uncompiling.found
    assert not compiles(lambda: plain(x))
    assert plain(x).shape == x.shape
    assert Uncompiling()(plain) is not None
    again = Uncompiling()
    assert again(plain) is plain
    assert not again.found


def test_functions_methods_and_partials_are_uncompiled() -> None:
    x = torch.ones(2)
    assert Uncompiling()(compiled(double)) is double
    assert Uncompiling()(functools.partial(compiled(double), x=x)).func is double
    assert Uncompiling()(functools.partial(double, compiled(double))).args == (double,)

    class Step:
        @functools.partial(torch.compile, backend="eager")
        def run(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    step = Step()
    assert compiles(lambda: step.run(x))
    plain = Uncompiling()(step.run)
    assert plain.__self__ is step
    assert not compiles(lambda: plain(x))
    forward = compiled(Net()).forward
    assert compiles(lambda: forward(x))
    plain = Uncompiling()(forward)
    assert not compiles(lambda: plain(x))


def test_compiled_values_anywhere_in_the_inputs_are_uncompiled_and_the_rest_stays_the_same_objects() -> None:
    x, linear = torch.ones(2, 2), torch.nn.Linear(2, 2)
    net = compiled(linear)
    held, listed = Held(compiled(double), {"net": net}), [net, x]
    uncompiling = Uncompiling()
    result = uncompiling((net, listed, {"a": net}, Batch(net, x), held, x))
    assert result[0] is result[1][0] is result[2]["a"] is result[3].net is held.nested["net"] is linear
    assert held.step is double
    assert result[1] is listed
    assert type(result[3]) is Batch
    assert result[5] is x
    inputs = (x, [x], {"a": linear}, Batch(linear, x), double)
    untouched = Uncompiling()
    assert untouched(inputs) is inputs
    assert not untouched.found


def test_what_is_not_torch_compile_stays_as_it_is() -> None:
    @torch.compiler.disable
    def left_out(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    inner = compiled(double)

    @functools.wraps(inner)  # copies the attributes of a compiled function
    def logged(x: torch.Tensor) -> torch.Tensor:
        return inner(x) + 1

    for value in (left_out, logged, torch.mm, torch.jit.script(double)):
        uncompiling = Uncompiling()
        assert uncompiling(value) is value
        assert not uncompiling.found


def run(tmp_path: Path, text: str, *cases: tuple[str, str], wanted: object = "False") -> FamilyResult:
    file = tmp_path / "suite.py"
    file.write_text(f"WANTED = {wanted}\n" + HEAD + textwrap.dedent(text))
    made = tuple(Case(str(file), "s", "w", "", (), name, False, "cpu", mode, "fp32") for name, mode in cases)
    return measure(Task(Family(made, made), 0.2, 1, str(tmp_path)), lambda *_: None)


def errors(outcome: FamilyResult) -> list[str | None]:
    return [result.error for result in outcome.results]


def test_a_compiled_function_and_a_compiled_result_of_setup_are_called_uncompiled_in_eager(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        def make(x):
            return compiled(chain)
        made = Implementation(make, setup=True)
        suite.compare("w", {"plain": chain, "f": compiled(chain), "made": made}, inputs=vector)
        """,
        ("plain", "eager"),
        ("f", "eager"),
        ("made", "eager"),
    )
    assert errors(outcome) == [None] * 3  # the function itself asserts that it is not compiled
    assert [result.compile for result in outcome.results] == [None] * 3
    assert [UNCOMPILED in result.notes for result in outcome.results] == [False, True, True]


def test_a_compiled_model_is_called_uncompiled_in_eager_and_compiled_in_the_other_modes(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        def inputs(device):
            return compiled(nn.Sequential(nn.Linear(8, 8), nn.ReLU())), torch.randn(4, 8)
        def call(net, x):
            return net(x)
        suite.compare("w", {"f": call}, inputs=inputs, modes=("eager", "compile", "compile-model"))
        """,
        ("f", "eager"),
        ("f", "compile"),
        ("f", "compile-model"),
    )
    assert errors(outcome) == [None] * 3
    assert [result.compile is None for result in outcome.results] == [True, False, False]
    assert all(UNCOMPILED in result.notes for result in outcome.results)


def test_compiled_code_deeper_in_an_eager_case_is_recorded_whoever_compiled_it_first(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        """
        helper = compiled(lambda x: torch.sin(x) * 2)
        def first(x):
            return helper(x)
        def second(x):
            return helper(x) + 0
        def plain(x):
            return torch.sin(x) * 2
        suite.compare("w", {"plain": plain, "first": first, "second": second}, inputs=vector)
        """,
        ("plain", "eager"),
        ("first", "eager"),
        ("second", "eager"),
    )
    assert errors(outcome) == [None] * 3
    plain, first, second = outcome.results
    assert plain.compile is None
    assert first.compile is not None
    assert first.compile["graphs"] >= 1
    assert second.compile is not None  # compiled by the first case's call
    assert [CALLS_COMPILED in result.notes for result in outcome.results] == [False, True, True]
