"""The cases of the suite ``compiling``; conftest.py and the packages here measure them."""

from collections.abc import Callable


def test_compiling(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
