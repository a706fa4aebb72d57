"""The cases of the suite ``attention``; conftest.py and the packages here measure them."""

from collections.abc import Callable


def test_attention(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
