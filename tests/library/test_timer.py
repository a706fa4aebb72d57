"""``Timer`` and ``Compare`` with the arguments of ``torch.utils.benchmark``."""

from __future__ import annotations

import pytest
import torch
from torch.utils import benchmark as torchs

import torchduet as benchmark


def twice(x: torch.Tensor) -> torch.Tensor:
    return x + x


def made(name: str, stmt: str, size: int) -> benchmark.Measurement:
    return benchmark.Timer(
        stmt,
        setup="from math import pi",
        globals={"x": torch.ones(size), "twice": twice},
        label="double",
        sub_label=f"[{size}]",
        description=name,
    ).blocked_autorange(min_run_time=0.1)


@pytest.fixture(scope="module")
def results() -> list[benchmark.Measurement]:
    return [made(name, stmt, size) for size in (16, 4096) for name, stmt in (("add", "twice(x)"), ("mul", "x * 2"))]


def test_a_measurement_is_one_of_pytorchs(results: list[benchmark.Measurement]) -> None:
    measured = results[0]
    assert isinstance(measured, torchs.Measurement)
    assert 0 < measured.median < 1
    assert measured.title == "double: [16]"
    assert measured.description == "add"
    assert "thread" in repr(measured)
    assert "add" in str(torchs.Compare(results))


def test_a_row_is_compared_in_alternation(results: list[benchmark.Measurement]) -> None:
    table = benchmark.Compare(results, budget=0.8)
    table.trim_significant_figures()
    text = str(table)
    assert [comparison.names for comparison in table.comparisons] == [("add", "mul")] * 2
    assert text.index("double [16]: mul ") < text.index("double [4096]: mul ")
    assert "add" in text.splitlines()[1]


def test_statements_of_several_lines_and_their_errors() -> None:
    timer = benchmark.Timer("y = x + 1\ny.sum()", globals={"x": torch.ones(4)})
    assert not timer.returns
    assert timer.timeit(10).median > 0
    assert benchmark.Timer('"""a\n  b"""').function() == "a\n  b"
    with pytest.raises(SyntaxError):
        benchmark.Timer("x +")
    with pytest.raises(benchmark.ComparisonError, match="NameError: name 'missing' is not defined"):
        benchmark.Timer("missing").timeit()


def test_results_that_differ_are_no_comparison() -> None:
    x = {"x": torch.ones(4)}
    differing = [
        benchmark.Timer(stmt, globals=x, label="sums", description=stmt).blocked_autorange(min_run_time=0.1)
        for stmt in ("x + 1", "x + 2")
    ]
    assert "sums: not compared: x + 2 and x + 1 return different results" in str(
        benchmark.Compare(differing, budget=0.5)
    )


def test_what_it_does_not_do() -> None:
    for keywords in ({"language": "c++"}, {"timer": float}):
        with pytest.raises(NotImplementedError, match=r"torchduet\.Timer"):
            benchmark.Timer("1", **keywords)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="counts no instructions"):
        benchmark.Timer("1").collect_callgrind()
