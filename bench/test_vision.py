"""The cases of the suite ``vision``; conftest.py and the packages here measure them."""

from collections.abc import Callable


def test_vision(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
