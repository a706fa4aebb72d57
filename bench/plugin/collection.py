"""From the selection to pytest's items: one per case, families kept together."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchduet.bench.plan import claim_selection
from torchduet.bench.plan.selection import unused
from torchduet.bench.plugin import output, pytest_benchmark_adapter
from torchduet.bench.plugin.run_command import BENCH
from torchduet.bench.plugin.stash import CASE, CASES, SESSION, json_path
from torchduet.bench.record.knobs import NAMES
from torchduet.suites.registry import names

PARAMS = ("suite", "workload", "size", *NAMES)


def _source(function: str, config: pytest.Config) -> list[str]:
    """The suites that one of our test functions stands for."""
    chosen = config.stash[SESSION].settings.options.suites
    name = function.removeprefix("test_")
    if name in names():
        return [name] if chosen is None or name in chosen else []
    return [source for source in chosen or () if source not in names()]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the test files of suites that are not selected."""
    if collection_path.parent.resolve() == BENCH.resolve() and collection_path.name.startswith("test_"):
        return True if not _source(collection_path.stem, config) else None
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per case."""
    if "measured" not in metafunc.fixturenames:
        return
    session = metafunc.config.stash[SESSION]
    several = metafunc.function.__name__ == "test_user"
    values = []
    for source in _source(metafunc.function.__name__, metafunc.config):
        for suite, case in session.settings.selection.cases(source):
            params = (suite.name, *case.params().values())
            metafunc.config.stash[CASES][params] = case
            marks = [pytest.mark.claims] if claim_selection.decides(case) else []
            name = f"{suite.name}-{case.pytest_id}" if several else case.pytest_id
            values.append(pytest.param(*params, id=name, marks=marks))
    metafunc.fixturenames.extend(PARAMS)  # which no function has to list
    metafunc.parametrize(PARAMS, values)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After the selection: families kept together, in order of first appearance."""
    families: dict[str, list[pytest.Item]] = {}
    empty = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        params = tuple(callspec.params.get(name) for name in PARAMS) if callspec else ()
        case = config.stash[CASES].get(params)
        if case is not None:
            item.stash[CASE] = case
            pytest_benchmark_adapter.install(item)
            families.setdefault(case.family, []).append(item)
        elif "measured" in getattr(item, "fixturenames", ()):
            empty.append(item)  # pytest's stand-in for a function without any case
        else:
            families.setdefault(item.nodeid, []).append(item)
    items[:] = [item for members in families.values() for item in members]
    if empty:
        config.hook.pytest_deselected(items=empty)
    session = config.stash[SESSION]
    session.progress.hints += unused(
        session.settings.options.asked, [item.stash[CASE] for item in items if CASE in item.stash]
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """The selection is final: fix the families."""
    state = session.config.stash[SESSION]
    state.measuring.plan([item.stash[CASE] for item in session.items if CASE in item.stash])
    # Two interpreters that time each other cannot be asked to finish.
    state.stop_request.graceful = state.measuring.resumable
    output.begin(session.config, state, json_path(session.config))
