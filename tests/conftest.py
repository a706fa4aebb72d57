"""What holds for all tests."""

import gc
import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.slow_marks import slow_among

HERE = Path(__file__).parent
collect_ignore = ["own_project"]  # a user's project, whose tests run in an environment of its own
LONGEST_FIRST = (  # begun last, one of these would keep one core busy while the others have nothing left to do
    "suites/test_suites.py",
    "suites/test_distributed_steps.py",
    "faults/test_isolation.py",
    "bench/test_duet.py",
    "bench/test_run.py",
    "duet/test_against.py",
    "faults/test_ranks.py",
    "own_tests/test_plugin.py",
    "library/test_compare.py",
    "bench/test_check_kinds.py",
    "docs/test_pages.py",
    "test_readme.py",
    "bench/test_ranks.py",
    "bench/test_left_behind.py",
    "browser/test_report.py",
    "browser/test_compare.py",
    "browser/test_hostile.py",
    "test_wheel.py",
    "bench/test_compile.py",
    "bench/test_user_files.py",
    "faults/test_resume.py",
    "duet/test_imported.py",
    "test_platforms.py",
    "reports/test_page.py",
    "reports/test_history_command.py",
)


def pytest_collection() -> None:
    """Without garbage collection, which would look again and again at the items so far, a third of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What measures collects garbage, often: leave out what lives until the end, half a second for each collection."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before ``-m`` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and begin with the files that take longest; pytest-xdist gives each to one process."""
    own = [item for item in items if item.path.is_relative_to(HERE)]
    names = [(item.path.relative_to(HERE).as_posix(), item.name) for item in own]
    for item, slow in zip(own, slow_among(names), strict=True):
        if slow:
            item.add_marker(pytest.mark.slow)
    places = {HERE / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@cache
def _settle_hypothesis() -> None:
    """The same few examples each time: what tests hold must not depend on luck or on the machine's speed."""
    try:
        from hypothesis import settings
    except ModuleNotFoundError:  # where only the tests for a GPU run; a file that needs it says so itself
        return
    settings.register_profile("steady", derandomize=True, deadline=None, max_examples=25)
    settings.register_profile("thorough", deadline=None, max_examples=1000)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_pycollect_makemodule() -> None:
    """Before a module of tests is imported; a ``pytest bench/`` that tests start loads this file, too."""
    _settle_hypothesis()


@pytest.fixture(scope="session", autouse=True)
def _runs_started_by_tests_are_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``pytest bench/`` refuses to run beside others of its kind, which it tells by this variable of pytest-xdist."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # In a shell's background job; a run inherits that, and rightly does not heed the Ctrl-C that tests send.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # the same of nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):  # runs of tests teach nothing to runs of the user
            patch.setenv(name, str(tmp_path_factory.getbasetemp().parent / "torchduet-cache"))
        # Whose plugin costs each run 2 s of the CPU's time, and none of them draws examples.
        patch.setenv("PYTEST_ADDOPTS", f"{os.environ.get('PYTEST_ADDOPTS', '')} -p no:hypothesispytest")
        # And each may run beside those of other tests: it waits for its own worker's alone.
        patch.setenv("TORCHDUET_LOCK", str(tmp_path_factory.mktemp("lock") / "lock"))
        yield
