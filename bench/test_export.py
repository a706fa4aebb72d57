"""The cases of the suite ``export``; how they are measured is in conftest.py and engine/."""

from collections.abc import Callable


def test_export(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
