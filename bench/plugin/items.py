"""Runs an item: measures its family, unless that is done already, and gives its samples to pytest-benchmark."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from torchduet.bench.cases.outcome import Failed, Measured, Skipped
from torchduet.bench.plugin import pytest_benchmark_adapter, terminal
from torchduet.bench.plugin.stash import CASE, SESSION
from torchduet.bench.record.schema import KEY
from torchduet.bench.run.session import samples

NO_KEYWORDS: dict[str, Any] = {}


class NotMeasuredError(Exception):
    """Ends a case's pytest-benchmark entry without samples."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Skip an item that a run which ends early does not reach; measured cases are still reported."""
    terminal.forget_stages(item.config)
    session = item.config.stash[SESSION]
    return None if CASE not in item.stash or session.reaches(item.stash[CASE]) else True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Drop the keywords of a passed test: they are not used, and pytest keeps a copy for each report."""
    if report.passed:
        report.keywords = NO_KEYWORDS


@pytest.fixture
def measured(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[], None]:
    """Measure this case and its family, unless that is done already, and give its samples to pytest-benchmark."""
    item, config = request.node, request.config
    session = config.stash[SESSION]

    def measure() -> None:
        with terminal.progress(config, session):
            outcome = session.outcome(item.stash[CASE])
        match outcome:
            case Skipped(reason):
                pytest.skip(reason)
            case Failed(reason):

                def refuse() -> None:
                    raise NotMeasuredError(reason)

                with contextlib.suppress(NotMeasuredError):
                    pytest_benchmark_adapter.replay(item, benchmark, [0.0], refuse)
                pytest.fail(reason, pytrace=False)
            case Measured(record):
                benchmark.extra_info[KEY] = record["case"]["id"]  # replaced by its record in the JSON
                pytest_benchmark_adapter.replay(item, benchmark, samples(record))

    return measure
