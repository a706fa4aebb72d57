"""The cases of the suite ``logging``; how they are measured is in conftest.py and engine/."""

from collections.abc import Callable


def test_logging(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
