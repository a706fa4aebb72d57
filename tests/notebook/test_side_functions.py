"""Functions made of statements: their inputs, their globals, and their way to other processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch

from torchduet.side_functions import SideFunctions, functions_of
from torchduet.sides import SidesError, of_cell, of_line

VALUES: dict[str, Any] = {
    "torch": torch,
    "x": torch.arange(4.0),
    "w": torch.ones(4),
    "array": np.ones(3),
    "model": torch.nn.Linear(4, 2),
    "pair": [torch.ones(2)],
    "n": 3,
    "eps": 1e-6,
    "text": "mean",
    "f": lambda value: value * 2,
}


def made(line: str) -> SideFunctions:
    return functions_of(of_line(line), VALUES)


def results(of: SideFunctions) -> list[Any]:
    return [function(*of.inputs.values()) for function in of.functions.values()]


def test_tensors_arrays_modules_and_containers_are_inputs_and_nothing_else() -> None:
    of = made("f(x) + n | model(x) * eps | torch.sum(w, 0) | array | pair[0] | text")
    assert [*of.inputs] == ["x", "model", "w", "array", "pair"]
    assert all(value is VALUES[name] for name, value in of.inputs.items())


def test_every_side_takes_the_same_parameters() -> None:
    of = made("f(x) | f(w)")
    codes = [function.__code__ for function in of.functions.values()]
    assert [code.co_varnames[: code.co_argcount] for code in codes] == [("x", "w")] * 2
    first, second = results(of)
    assert torch.equal(first, VALUES["x"] * 2)
    assert torch.equal(second, VALUES["w"] * 2)


def test_a_function_holds_only_what_it_reads() -> None:
    of = made("f(x) | torch.mul(x, n)")
    assert {*of.functions["f(x)"].__globals__} - {"__builtins__", "__name__"} == {"f"}
    assert {*of.functions["torch.mul(x, n)"].__globals__} - {"__builtins__", "__name__"} == {"torch", "n"}


def test_assignments_stay_within_a_side_and_give_its_result() -> None:
    values = dict(VALUES)
    of = functions_of(of_cell("---\ny = f(x)\ny += 1\n---\nn += 1\nx = x * n\n---\nx.sum()"), values)
    first, second, third = results(of)
    assert torch.equal(first, VALUES["x"] * 2 + 1)
    assert torch.equal(second, VALUES["x"] * 4)
    assert third == 6
    assert values == VALUES
    assert "y" not in values


def test_names_of_comprehensions_and_lambdas_are_their_own() -> None:
    of = made("[v * n for v in pair] | [*map(lambda u: u * n, pair)]")
    assert [*of.inputs] == ["pair"]
    first, second = results(of)
    assert torch.equal(first[0], second[0])


def test_setup_is_run_once_in_a_copy_of_the_values() -> None:
    values = {**VALUES, "calls": []}
    cell = "--- setup\nz = x + 1\ncalls.append(1)\n--- a\nz * 2\n--- b\nz + z\n"
    of = functions_of(of_cell(cell), values)
    first, second = results(of)
    assert torch.equal(first, second)
    assert [*of.inputs] == ["z"]
    assert values["calls"] == [1]
    assert "z" not in values


def test_a_side_may_have_the_name_of_a_function_that_it_calls() -> None:
    first, second = results(made("f: f(x) | x + x"))
    assert torch.equal(first, second)


def test_a_missing_name_is_named_before_anything_is_measured() -> None:
    with pytest.raises(SidesError, match="name 'missing' is not defined, in 'missing\\(x\\)'"):
        made("f(x) | missing(x)")


def test_a_compiled_module_is_refused_as_its_compilation_would_be_undone() -> None:
    values = {**VALUES, "compiled": torch.compile(VALUES["model"])}
    with pytest.raises(SidesError, match=r"'compiled' is a module that torch"):
        functions_of(of_line("compiled(x) | model(x)"), values)


def test_a_traceback_shows_the_statement() -> None:
    of = made("f(x) | x.reshape(3, 3)")
    try:
        results(of)
    except RuntimeError:
        text = traceback.format_exc()
    assert "return x.reshape(3, 3)" in text


def test_a_function_reaches_a_fresh_process(tmp_path: Path) -> None:
    of = functions_of(of_cell("def g(v):\n    return v * 3\n\na: g(x) + n\nb: x * 3 + n\n"), VALUES)
    path = tmp_path / "functions.pkl"
    path.write_bytes(cloudpickle.dumps((list(of.functions.values()), list(of.inputs.values()))))
    assert all(function.__module__ == "__main__" for function in of.functions.values())
    code = (
        "import pickle, sys, torch; functions, inputs = pickle.load(open(sys.argv[1], 'rb'));"
        "assert torch.equal(functions[0](*inputs), functions[1](*inputs))"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=tmp_path)
    assert pickle.loads(path.read_bytes())
