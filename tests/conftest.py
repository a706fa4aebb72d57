"""What holds for all tests."""

import os
from collections.abc import Iterator
from functools import cache

import pytest


@cache
def _settle_hypothesis() -> None:
    """The same few examples each time: what tests hold must not depend on luck or on the machine's speed."""
    from hypothesis import settings

    settings.register_profile("steady", derandomize=True, deadline=None, max_examples=25)
    settings.register_profile("thorough", deadline=None, max_examples=1000)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_pycollect_makemodule() -> None:
    """Before a module of tests is imported; a ``pytest bench/`` that tests start loads this file, too."""
    _settle_hypothesis()


@pytest.fixture(scope="session", autouse=True)
def _runs_started_by_tests_are_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``pytest bench/`` refuses to run beside others of its kind, which it tells by this variable of pytest-xdist."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)
        # And each may run beside those of other tests: it waits for its own worker's alone.
        patch.setenv("TORCHDUET_LOCK", str(tmp_path_factory.mktemp("lock") / "lock"))
        yield
