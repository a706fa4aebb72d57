"""Turns the selection into pytest's items: one per case, with families kept together."""

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
    """The selected suites of one of our test functions."""
    selected = config.stash[SESSION].settings.options.suites
    name = function.removeprefix("test_")
    if name in names():
        return [name] if selected is None or name in selected else []
    return [source for source in selected or () if source not in names()]


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
    many_suites = metafunc.function.__name__ == "test_user"
    values = []
    for source in _source(metafunc.function.__name__, metafunc.config):
        for suite, case in session.settings.selection.cases(source):
            params = (suite.name, *case.params().values())
            metafunc.config.stash[CASES][params] = case
            marks = [pytest.mark.claims] if claim_selection.decides(case) else []
            name = f"{suite.name}-{case.pytest_id}" if many_suites else case.pytest_id
            values.append(pytest.param(*params, id=name, marks=marks))
    metafunc.fixturenames.extend(PARAMS)  # so that no function has to list them
    metafunc.parametrize(PARAMS, values)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the items after the selection: families together, in order of first appearance."""
    families: dict[str, list[pytest.Item]] = {}
    without_cases = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        params = tuple(callspec.params.get(name) for name in PARAMS) if callspec else ()
        case = config.stash[CASES].get(params)
        if case is not None:
            item.stash[CASE] = case
            pytest_benchmark_adapter.install(item)
            families.setdefault(case.family, []).append(item)
        elif "measured" in getattr(item, "fixturenames", ()):
            without_cases.append(item)  # pytest's placeholder for a function without any case
        else:
            families.setdefault(item.nodeid, []).append(item)
    items[:] = [item for members in families.values() for item in members]
    if without_cases:
        config.hook.pytest_deselected(items=without_cases)
    session = config.stash[SESSION]
    session.progress.hints += unused(
        session.settings.options.asked, [item.stash[CASE] for item in items if CASE in item.stash]
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan the families of the final selection, and open the journal."""
    run = session.config.stash[SESSION]
    run.measuring.plan([item.stash[CASE] for item in session.items if CASE in item.stash])
    run.stop_request.graceful = True
    output.begin(session.config, run, json_path(session.config))
