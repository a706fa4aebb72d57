"""The cases of the suite ``tensor_ops``; conftest.py and the packages here measure them."""

from collections.abc import Callable


def test_tensor_ops(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
