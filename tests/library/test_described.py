"""Functions and inputs as a suite: copies, devices, factories, and refusals of one line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from torchduet.bench.library.described import Described, device_of, moved
from torchduet.bench.library.functions import Function, function_of, named
from torchduet.suites.workload import SuiteError, Workload

CPU = torch.device("cpu")


def double(x: torch.Tensor) -> torch.Tensor:
    return x + x


def described(
    inputs: tuple[Any, ...] | None = None, make: Callable[..., Any] | None = None, **changes: Any
) -> Described:
    details = {
        "name": "f",
        "functions": {"f": Function(double)},
        "inputs": inputs,
        "make": make,
        "axes": {},
        "modes": ("eager",),
        "precisions": ("fp32",),
        "devices": ("cpu",),
    }
    return Described(**{**details, **changes})


def workload(of: Described) -> Workload:
    return of.suite().workloads["f"]


def test_inputs_are_copies_that_share_memory_as_the_originals_do() -> None:
    base = torch.arange(6.0)
    inputs = (base[::2], {"view": base[1:]}, [base])
    first, second, third = workload(described(inputs)).inputs(CPU)
    assert first.stride() == (2,)
    assert first.data_ptr() == third[0].data_ptr() != base.data_ptr()
    third[0][0] = 9.0
    assert first[0] == 9.0
    assert base[0] == 0.0
    assert second["view"].storage_offset() == 1


def test_captured_tensors_come_after_the_arguments() -> None:
    weight = torch.ones(2)
    of = workload(described((torch.zeros(2),), functions={"f": Function(lambda x: x + weight)}))
    arguments, captured = of.split(of.inputs(CPU))
    assert of.captured == ("weight",)
    assert len(arguments) == len(captured) == 1
    bind = of.implementations["f"].bind
    assert bind is not None
    assert bind([torch.full((2,), 5.0)])(arguments[0]).tolist() == [5.0, 5.0]


def test_a_factory_gets_the_axes_and_the_device_if_it_asks() -> None:
    plain = workload(described(make=lambda n: torch.ones(n), axes={"n": [2, 3]}))
    assert [len(plain.inputs(CPU, n=n)[0]) for n in (2, 3)] == [2, 3]
    asking = workload(described(make=lambda device, n: (torch.ones(n, device=device), n), axes={"n": [2]}))
    assert asking.inputs(torch.device("meta"), n=2)[0].device.type == "meta"


def test_inputs_are_moved_to_the_device() -> None:
    base = torch.ones(4)
    on_meta = moved((base, [base[1:]]), torch.device("meta"))
    assert on_meta[0].device.type == on_meta[1][0].device.type == "meta"
    assert on_meta[1][0].storage_offset() == 1
    assert device_of(described((base,))) == "cpu"


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (lambda: described((iter([1]),)), "input 1 is a list_iterator, which the first call uses up"),
        (lambda: described(((x for x in "ab"),)), "input 1 is a generator"),
        (lambda: described(([(x for x in "ab")],)), "input 1 holds a generator"),
        (lambda: described((1,), axes={"n": [1]}), "need a function of them in inputs="),
        (lambda: described(make=lambda m: (m,), axes={"n": [1]}), "does not take the axis 'n'"),
        (lambda: described(make=lambda n: (n,)), "has a parameter 'n', which no axis gives"),
        (lambda: described((1,), modes=("quick",)), "mode= has quick; known are eager"),
        (lambda: described((1,), precisions=("fp8",)), "precision= has fp8; known are fp32"),
        (lambda: described((1,), details={"tolerance": {"g": 1}}), "tolerance has g"),
    ],
)
def test_refusals_are_one_line(of: Callable[[], Described], words: str) -> None:
    with pytest.raises(SuiteError) as refused:
        of().suite()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "suite 'compare'" not in str(refused.value)


def test_a_factory_that_returns_a_mapping() -> None:
    with pytest.raises(SuiteError, match="returned a dict; return a tuple"):
        workload(described(make=lambda: {"x": 1})).inputs(CPU)


def test_names() -> None:
    assert [*named([double, double])] == ["double 1", "double 2"]
    assert [*named([lambda x: x, double])] == ["f", "double"]
    assert [*named([torch.nn.ReLU(), torch.add])] == ["ReLU", "add"]
    with pytest.raises(SuiteError, match="'f' is a int and cannot be called"):
        named({"f": 3})  # type: ignore[dict-item]
    with pytest.raises(SuiteError, match="no functions to time"):
        named({})


def test_a_compiled_function_is_its_original_in_a_mode() -> None:
    assert function_of("f", double) == Function(double)
    assert function_of("f", torch.compile(double)) == Function(double, "compile")
    assert function_of("f", torch.compile(double, mode="reduce-overhead")).mode == "reduce-overhead"
    assert function_of("f", torch.compile(double, mode="max-autotune-no-cudagraphs")).mode == (
        "max-autotune-no-cudagraphs"
    )
    assert function_of("f", torch.compile(double, dynamic=True)) == Function(double, "compile-dynamic")
    assert function_of("f", torch.compile(double, dynamic=False)) == Function(double, "compile-static")
    module = torch.nn.Linear(1, 1)
    assert function_of("f", torch.compile(module)) == Function(module, "compile")
    for odd in (
        torch.compile(double, backend="eager"),
        torch.compile(double, options={"max_fusion_size": 3}),
        torch.compile(double, dynamic=True, mode="reduce-overhead"),
    ):
        with pytest.raises(SuiteError, match="another backend, dynamic= beside another mode, or options of its own"):
            function_of("f", odd)


def test_compiled_within_a_partial_or_in_place() -> None:
    function = function_of("f", functools.partial(torch.compile(double)))
    assert function.mode == "compile"
    assert float(function.original(torch.ones(()))) == 2
    module = torch.nn.Linear(1, 1)
    module.compile(backend="eager")
    with pytest.raises(SuiteError, match="another backend"):
        function_of("f", module)
    module.compile()
    assert function_of("f", module).mode == "compile"


def test_names_that_are_equal_as_text() -> None:
    with pytest.raises(SuiteError, match="two functions have the same name"):
        named({1: double, "1": double})  # type: ignore[dict-item]


def test_shapes_and_types_are_sizes() -> None:
    axes = {"shape": [(2, 3), (4,)], "dtype": [torch.float32, torch.bfloat16]}
    of = workload(described(make=lambda shape, dtype: torch.ones(shape, dtype=dtype), axes=axes))
    sizes = [dict(size) for size in of.sizes("full")]
    assert sizes[0] == {"shape": "2x3", "dtype": "float32"}
    made = of.inputs(CPU, **sizes[-1])[0]
    assert made.shape == (4,)
    assert made.dtype == torch.bfloat16
    with pytest.raises(SuiteError, match="axes= has None"):
        workload(described(make=lambda n: n, axes={"n": [None]}))


def test_parameters_that_suites_give_a_meaning_to_are_plain_arguments_here() -> None:
    def noisy(x: int, seed: int) -> int:
        return x + seed

    assert function_of("f", noisy).original(1, 2) == 3
    assert function_of("f", noisy).original is not noisy
