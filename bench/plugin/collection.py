"""Turns the selection into pytest's items: one per case, with families kept together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchduet.bench.duet import against
from torchduet.bench.plan import case_globs, claim_selection
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plan.selection import unused
from torchduet.bench.plugin import gpu_clocks, gpus, output, pytest_benchmark_adapter, sharding
from torchduet.bench.plugin.pytest_command import BENCH
from torchduet.bench.plugin.stash import CASE, CASES, DUET, SELECTED, SESSION, json_path
from torchduet.bench.record.knobs import NAMES
from torchduet.bench.run.profile_selection import check_what
from torchduet.bench.run.settings import Settings
from torchduet.bench.run.warm_starts import check_selection
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
    many_suites = metafunc.function.__name__ == "test_user"
    values = []
    for source in _source(metafunc.function.__name__, metafunc.config):
        for suite, case in sharding.candidates(metafunc.config, source):
            params = (suite.name, *case.params().values())
            metafunc.config.stash[CASES][params] = case
            marks = [pytest.mark.claims] if claim_selection.decides(case) else []
            name = f"{suite.name}-{case.pytest_id}" if many_suites else case.pytest_id
            values.append(pytest.param(*params, id=name, marks=marks))
    metafunc.fixturenames.extend(PARAMS)  # so that no function has to list them
    metafunc.parametrize(PARAMS, values)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what ``--case`` does not select, and sort the rest: families together, in order of first appearance."""
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
    session = config.stash[SESSION]
    deselected = without_cases + _left_out_by_id(items, session.settings)
    of_all_shards = _of_other_tiers(items, session.settings)
    of_all_shards += unused(session.settings.options.asked, [item.stash[CASE] for item in items if CASE in item.stash])
    deselected += sharding.leave_out(items, config) + _left_out_by_change(items, config)
    session.progress.hints += of_all_shards
    if deselected:
        config.hook.pytest_deselected(items=deselected)
    config.stash[SELECTED] = True


def _of_other_tiers(items: list[pytest.Item], settings: Settings) -> list[str]:
    """A hint for each built-in suite that was asked for and has no case in the run's tier."""
    found = {item.stash[CASE].source for item in items if CASE in item.stash}
    tier = settings.options.tier
    return [
        f"--suite {source}: none of its cases is in the tier {tier}; the first are in --tier {other}"
        for source in settings.options.suites or ()
        if source in names() and source not in found and (other := settings.selection.tier_with(f"{source}.*"))
    ]


def _left_out_by_id(items: list[pytest.Item], settings: Settings) -> list[pytest.Item]:
    """Remove the items that no ``--case`` selects; returns them.

    Raises:
        pytest.UsageError: a ``--case`` matches no case that the other options select.
    """
    globs = settings.options.cases
    if not globs:
        return []
    ids = {item: item.stash[CASE].id for item in items if CASE in item.stash}
    for glob in globs:
        if not any(case_globs.matches(glob, case) for case in ids.values()):
            tier = settings.selection.tier_with(glob)
            items.clear()  # so that pytest lists none beside the error
            with _usage_errors():
                case_globs.check("--case", glob, ids.values(), f"it is in --tier {tier}" if tier else "")
    left_out = [item for item in items if not any(case_globs.matches(glob, ids.get(item, "")) for glob in globs)]
    out = set(left_out)
    items[:] = [item for item in items if item not in out]
    return left_out


def _left_out_by_change(items: list[pytest.Item], config: pytest.Config) -> list[pytest.Item]:
    """Remove the items that ``--only-changed`` does not select; returns them."""
    session = config.stash[SESSION]
    chosen = against.narrowed(config.stash[DUET], [item.stash[CASE] for item in items if CASE in item.stash])
    if chosen is None:
        return []
    against.use(session, chosen)
    kept = {*chosen.reached, *chosen.controls}
    left_out = [item for item in items if item.stash.get(CASE, None) not in kept]
    items[:] = [item for item in items if item.stash.get(CASE, None) in kept]
    return left_out


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    """Errors of options are pytest's usage errors: one line, and exit code 4."""
    try:
        yield
    except OptionError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan the families of the final selection, check and lock their GPUs, and open the journal.

    pytest calls this after an error in the selection, too: then nothing is measured, and no journal is touched.
    """
    if SELECTED not in session.config.stash:
        return
    run = session.config.stash[SESSION]
    run.measuring.plan([item.stash[CASE] for item in session.items if CASE in item.stash])
    if run.progress.families:
        with _usage_errors():
            cases = sharding.selected_ids(session.config)
            check_what(run.settings.options.profile, run.settings.profiling, cases)
            check_selection(run.settings.options.warm_start, cases)
    resumes = bool(session.config.getoption("resume"))
    if resumes:  # a journal that does not fit is no reason to wait for a GPU
        output.begin(session.config, run, json_path(session.config))
    gpus.check(session.config, run)
    if run.progress.families:
        with _usage_errors():
            gpu_clocks.lock_clocks(session.config, run.measuring)
    run.stop_request.graceful = True
    if not resumes:  # where a GPU is refused, no journal is left
        output.begin(session.config, run, json_path(session.config))
