"""The cases of the suite ``speech``; conftest.py and the packages here measure them."""

from collections.abc import Callable


def test_speech(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
