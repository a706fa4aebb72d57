"""Names of duets: those of their tests, the same in every session, and no two alike."""

from __future__ import annotations

import pytest

from torchduet.own_tests.names import name_of
from torchduet.own_tests.outcomes import Duets


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/test_layers.py::test_attention[64]", "test_layers.test_attention[64]"),
        ("test_layers.py::test_attention", "test_layers.test_attention"),
        ("tests/nn/test_layers.py::TestNorm::test_rms[a::b/c]", "nn.test_layers.TestNorm.test_rms[a::b/c]"),
        ("src/tests/test_a.py::test_b", "src.tests.test_a.test_b"),
    ],
)
def test_a_test_is_named_readably(nodeid: str, name: str) -> None:
    assert ".".join(name_of(nodeid)) == name


def test_the_folder_of_tests_stays_where_two_tests_would_have_one_name() -> None:
    assert name_of("tests/test_a.py::test_b", {"test_a.py"}.__contains__) == ("tests.test_a", "test_b")


def test_no_two_duets_have_one_name() -> None:
    duets = Duets()
    for nodeid in ("a/b/test_c.py::test_d", "a.b/test_c.py::test_d", "a/b/test_c.py::test_d", "a.b/test_c.py::test_d"):
        duets.add(nodeid, name_of(nodeid), None, "wrong")
    assert [outcome.name for outcome in duets.outcomes] == [
        "a.b.test_c.test_d",
        "a.b/test_c.py.test_d",
        "a.b.test_c.test_d #2",
        "a.b/test_c.py.test_d #2",
    ]
