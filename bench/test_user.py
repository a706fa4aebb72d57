"""The cases of the workloads in files of the user, from ``--suite FILE``."""

from collections.abc import Callable


def test_user(measured: Callable[[], None]) -> None:
    """One case: checked against float64, timed with its family."""
    measured()
