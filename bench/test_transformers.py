"""The cases of the suite ``transformers``; conftest.py and the packages here measure them."""

from collections.abc import Callable


def test_transformers(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
