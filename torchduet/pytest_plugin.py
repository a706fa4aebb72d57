"""Gives pytest, in any project, the fixture and the marker ``duet`` and the options ``--duet-…``.

Whatever measures is imported when a test uses the fixture: a pytest without duets does not wait for it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from torchduet.own_tests import options, outcomes

if TYPE_CHECKING:
    from torchduet.own_tests.fixture import Duet

FIXTURE = "duet"
MEASURES, ANSWER = "torchduet.bench.plugin.start", "torchduet.run_answer"
MARKER = (
    "duet(budget='3s', threshold='5%', ...): defaults of the fixture duet in a test, a class or a module; the keywords "
    "of torchduet.compare"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_to(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and check the options; a benchmark run writes its answer last."""
    config.addinivalue_line("markers", MARKER)
    if MEASURES in sys.modules:
        config.pluginmanager.import_plugin(ANSWER)
    config.stash[options.OPTIONS] = options.read(config)
    config.stash[outcomes.DUETS] = outcomes.Duets()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests with duets before their other fixtures are made, or keep these tests only."""
    given = config.stash[options.OPTIONS]
    if given.only:
        others = [item for item in items if not _uses_duet(item)]
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = [item for item in items if _uses_duet(item)]
    if given.skip:
        for item in filter(_uses_duet, items):
            item.add_marker(pytest.mark.skip(reason=given.skip))


def _uses_duet(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())


@pytest.fixture
def duet(request: pytest.FixtureRequest) -> Duet:
    """Time functions in alternation and judge their speed-ups: duet(mine, theirs, x).assert_not_slower(by="5%")."""
    from torchduet.own_tests.fixture import duet_of

    return duet_of(request)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the duets beside pytest-benchmark's own benchmarks."""
    if config.stash[outcomes.DUETS].outcomes:
        from torchduet.own_tests import files

        files.add_to(config.stash[outcomes.DUETS], output_json)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist has found."""
    if found := getattr(node, "workeroutput", {}).get(outcomes.__name__):
        node.config.stash[outcomes.DUETS].add_text(found)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """Write the files, before pytest-benchmark writes its own and before the terminal's summary."""
    config = session.config
    duets = config.stash[outcomes.DUETS]
    if hasattr(config, "workeroutput"):
        if duets.outcomes:
            config.workeroutput[outcomes.__name__] = duets.to_text()
        return (yield)
    if not duets.outcomes and config.stash[options.OPTIONS].json is None:
        return (yield)
    from torchduet.own_tests import files

    others: Any = getattr(config, "_benchmarksession", None)
    ours = files.is_left_to_us(config)
    files.write(config)
    if duets.unwritten and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    file = getattr(others, "json", None)
    if ours:
        others.json = None  # else it warns that it writes nothing
    try:
        return (yield)
    finally:
        if ours:
            others.json = file


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table of the duets; nothing if there was none."""
    duets = config.stash[outcomes.DUETS]
    if not duets.outcomes and not duets.lines:
        return
    from torchduet.own_tests import table

    verbosity = config.get_verbosity()
    if verbosity >= 0:
        terminalreporter.section("duets")
    if duets.outcomes:
        lines = table.lines(duets.outcomes, verbosity)
        for line in lines if verbosity >= 0 else [f"duets: {line}" for line in lines]:
            terminalreporter.write_line(line)
    for line in duets.lines:
        terminalreporter.write_line(line)
    for line in duets.unwritten:
        terminalreporter.write_line(line, red=True)
