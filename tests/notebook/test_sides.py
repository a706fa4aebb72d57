"""``%duet``'s text: where its sides end, what they are called, and what is refused."""

from __future__ import annotations

import ast

import pytest

from torchduet.sides import SidesError, of_cell, of_line, split


def names(line: str) -> list[str]:
    return [side.name for side in of_line(line).sides]


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("f(x) | g(x)", ["f(x)", "g(x)"]),
        ("f(x)|g(x)|h(x)", ["f(x)", "g(x)", "h(x)"]),
        ("(a | b).sum() | f(a, b)", ["(a | b).sum()", "f(a, b)"]),
        ("f(a | b) | x[a | b] | {1: a | b}", ["f(a | b)", "x[a | b]", "{1: a | b}"]),
        ("f('a | b') | f(\"|\")", ["f('a | b')", 'f("|")']),
        ("f('''a | b''') | g", ["f('''a | b''')", "g"]),
        ("f(f'{a | b}|') | g", ["f(f'{a | b}|')", "g"]),
        ("map(lambda a: a | 1, x) | g(x)", ["map(lambda a: a | 1, x)", "g(x)"]),
        ("lambda a: a | 1", ["lambda a: a | 1"]),
        ("g(x) | lambda a: a | 1", ["g(x)", "lambda a: a | 1"]),
        ("x |= y", ["x |= y"]),
        ("f(x) | g(x)  # a | b", ["f(x)", "g(x)"]),
        ("größe(ä) | g('é | ü')", ["größe(ä)", "g('é | ü')"]),
    ],
)
def test_a_separator_stands_in_no_bracket_no_string_and_no_lambda(line: str, pieces: list[str]) -> None:
    assert split(line) == pieces


def test_a_side_is_named_by_its_text_or_by_its_label() -> None:
    assert names("f(x,  y=1e-6) | mine: g(x) | torch.nn: h(x)") == [
        "f(x,  y=1e-6)".replace("  ", " "),
        "mine",
        "torch.nn",
    ]
    assert names("f(x) | f(x) | f(x)") == ["f(x)", "f(x) (2)", "f(x) (3)"]


def test_a_long_name_is_shortened_and_stays_unique() -> None:
    long = f"f({', '.join(['argument'] * 20)})"
    first, second = names(f"{long} | {long}")
    assert len(first) <= 48
    assert first != second


@pytest.mark.parametrize("side", ["{1: 2}[x]", "x[1:2]", "f(lambda a: a)", "(lambda: x)()"])
def test_a_colon_in_an_expression_makes_no_label(side: str) -> None:
    assert names(f"{side} | g") == [side, "g"]


def test_each_statement_of_a_cell_is_a_side() -> None:
    cell = "# a comment\nmine: f(\n    x,\n)\n\ny = g(x)\nfor i in range(3):\n    h(x)\n"
    assert [side.name for side in of_cell(cell).sides] == ["mine", "y = g(x)", "for i in range(3): h(x)"]


def test_parts_of_a_cell_may_have_names_and_setup() -> None:
    cell = "--- setup\ny = x * 2\n--- mine ---\nz = y.sin()\nz * 2\n---\ny.sin() * 2\n"
    sides = of_cell(cell)
    assert [ast.unparse(each) for each in sides.setup] == ["y = x * 2"]
    assert [(side.name, len(side.body)) for side in sides.sides] == [("mine", 2), ("y.sin() * 2", 1)]


def test_definitions_and_imports_are_not_timed() -> None:
    sides = of_cell("import math\ndef f(x):\n    return x\n\nf(x)\nmath.sin(x)\n")
    assert [ast.unparse(each).split("\n")[0] for each in sides.setup] == ["import math", "def f(x):"]
    assert [side.name for side in sides.sides] == ["f(x)", "math.sin(x)"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "a side is empty"),
        ("f(x)", "there is only 'f(x)' to time"),
        ("f(x) | ", "a side is empty"),
        ("f((yield x)) | g(x)", "(yield x)"),
        ("await f(x) | g(x)", "'await f(x)' cannot be timed"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(line: str, words: str) -> None:
    with pytest.raises(SidesError) as refused:
        of_line(line)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_global_is_refused() -> None:
    with pytest.raises(SidesError, match="global y"):
        of_cell("---\nglobal y\ny = 1\n---\nf(x)")


@pytest.mark.parametrize("line", ["f(x | g(x)", "f(x)) | g(x)", "x+ | g(x)", "f('x) | g(x)"])
def test_a_syntax_error_has_the_expression(line: str) -> None:
    with pytest.raises(SyntaxError) as refused:
        of_line(line)
    assert refused.value.text
    assert refused.value.text.strip() in line
