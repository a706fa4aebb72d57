"""What ``nox -s tests`` leaves out is there, and each kind of it stays in the quick run by another test."""

import ast
import re
from pathlib import Path

import pytest

from tests import slow_marks
from tests.slow import SLOW
from tests.slow_marks import is_slow, slow_among

HERE = Path(__file__).parent
ROOT = HERE.parent


def functions_of(file: str) -> set[str]:
    """The functions of a file."""
    body = ast.parse((HERE / file).read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("file", sorted(SLOW))
def test_every_entry_is_a_test(file: str) -> None:
    named = {re.sub(r"^-|\[.*", "", entry) for entry in SLOW[file]} - {"*"}
    assert named <= functions_of(file)


def test_slow_are_all_of_a_file_or_some_cases_or_one() -> None:
    assert is_slow(("*", "-test_b"), "test_a", 0)
    assert not is_slow(("*", "-test_b"), "test_b[1-x]", 0)
    assert [is_slow(("test_a[1:]",), "test_a[x]", case) for case in (0, 1, 2)] == [False, True, True]
    assert [is_slow(("test_a[x]",), f"test_a[{name}]", 5) for name in "xy"] == [True, False]
    assert not is_slow(("test_a",), "test_ab", 0)


def test_cases_are_counted_by_function_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_marks, "SLOW", {"a.py": ("test_a[1:]",)})
    tests = [("a.py", "test_a[x]"), ("b.py", "test_a[x]"), ("a.py", "test_b[x]"), ("a.py", "test_a[y]")]
    assert slow_among(tests) == [False, False, False, True]


def test_the_session_for_all_tests_is_named_where_the_tests_are() -> None:
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "`nox -s tests-all`" in (ROOT / page).read_text("utf-8")
