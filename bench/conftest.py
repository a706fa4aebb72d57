"""The pytest side: options, one item per case, families kept together, records, the closing table.

What is measured and how is decided in ``bench.engine``; this module only connects it to pytest and
pytest-benchmark.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.outcome import Failed, Measured, Skipped
from torchduet.bench.duet import against
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.run_clock import Passing
from torchduet.bench.host.signals import Interruption
from torchduet.bench.plan import claim_selection, cli, preflight
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plugin import closing, output, pytest_benchmark_adapter, terminal
from torchduet.bench.record.schema import KEY
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.profile_selection import profiling_of
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session, samples
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import Conductor, silent_seconds
from torchduet.suites.registry import names
from torchduet.suites.workload import SuiteError, cores

SESSION = pytest.StashKey[Session]()
CASE = pytest.StashKey[Case]()
CASES = pytest.StashKey[dict[tuple[str, ...], Case]]()
NO_KEYWORDS: dict[str, Any] = {}
PARAMS = ("suite", "workload", "size", "implementation", "device", "mode", "precision", "workers")


class NotMeasuredError(Exception):
    """Ends a case's pytest-benchmark entry without samples."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of ``pytest bench/``; values are parsed in :mod:`torchduet.bench.plan.options`."""
    group = parser.getgroup("torchduet")
    cli.add_to(group)
    against.add_options(group)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check everything that can be checked before an hour is spent, then start the fork server."""
    if config.getoption("numprocesses", None) or os.environ.get("PYTEST_XDIST_WORKER"):
        raise pytest.UsageError("benchmarks run one at a time: leave out -n (pytest-xdist)")
    try:
        claims_only = claim_selection.wanted(config.option.markexpr)
        if claims_only and config.getoption("tier") == "quick":
            config.option.tier = "default"
        both = against.both_sides(config)
        options = cli.read(config)
        if both is not None:
            options = against.adapted(options, config.getoption("budget"))
        preflight.check_suites(options.suites or ())
        data = preflight.check_data(options.data)
        preflight.check_output(_json_path(config))
        profiling = None if config.option.collectonly else profiling_of(options, _json_path(config))
        output.check(config, _json_path(config), duet=both is not None)
        interruption = Interruption()
        interruption.listen()
        config.add_cleanup(interruption.restore)
        together = output.alone(config)
    except (OptionError, SuiteError) as error:
        raise pytest.UsageError(str(error)) from None
    config.addinivalue_line("markers", "claims: decides what a tutorial claims; see suites/claims.py")
    config.stash[CASES] = {}
    selecting_only = config.option.collectonly
    warnings = [] if selecting_only else together + preflight.load_warnings(options.threads or cores())
    silent = options.hang_seconds or silent_seconds(options.budget_seconds)
    passing = Passing()
    conductor = Conductor(silent_seconds=silent, stopping=interruption.asked, passing=passing)
    config.add_cleanup(conductor.close)
    conductor.job_control.listen()
    config.add_cleanup(conductor.job_control.restore)
    everything = options.suites is None and options.modes is None and not config.option.keyword
    if everything and not selecting_only:
        conductor.start(compiler=True)  # nothing narrows the selection: start while pytest collects
    settings = Settings(
        options,
        _machine(conductor),
        check_only=config.getoption("benchmark_disable", False) and not config.getoption("benchmark_enable", False),
        selecting_only=selecting_only,
        claims_only=claims_only,
        data=data,
        profiling=profiling,
    )
    progress = Progress(warnings)
    if both is None:
        measuring = Measuring(settings, conductor, progress, passing)
    else:
        try:
            measuring = against.measuring(config, settings, conductor, progress, passing, both)
        except OptionError as error:
            raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = Session(measuring, interruption)


def _json_path(config: pytest.Config) -> Path | None:
    return preflight.json_path(config.getoption("benchmark_json", None))


def _machine(conductor: Conductor) -> Machine:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"{error.name} is not installed in this environment: pip install -e . -c constraints.txt, "
            "or use the one that nox made: . .nox/bench/bin/activate"
        ) from None
    from torchduet.bench.host.machine import probe

    # A CUDA build must be probed in a worker: this process never initialises CUDA.
    return probe() if torch.version.cuda is None else conductor.machine(apart=True)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What will be measured on what, before anything is."""
    session = config.stash[SESSION]
    settings = session.settings
    machine, options = settings.machine, settings.options
    where = f"{machine.cpu}, {machine.cores} cores"
    where += "".join(f", {gpu.name}" for gpu in machine.gpus)
    lines = [
        f"torchduet: tier {options.tier}, {settings.threads} threads, budget {options.budget_seconds:.0f} s "
        f"· torch {machine.torch} · {where}"
    ]
    if _json_path(config) is None and not settings.selecting_only and not settings.check_only:
        lines.append("torchduet: there will be no report: it needs --benchmark-json run.json")
    lines += against.header(session)
    return lines + [f"torchduet: warning: {warning}" for warning in session.progress.warnings]


def _source(function: str, config: pytest.Config) -> list[str]:
    """The suites that one of our test functions stands for."""
    chosen = config.stash[SESSION].settings.options.suites
    name = function.removeprefix("test_")
    if name in names():
        return [name] if chosen is None or name in chosen else []
    return [source for source in chosen or () if source not in names()]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the test files of suites that are not selected."""
    if collection_path.parent == Path(__file__).parent and collection_path.name.startswith("test_"):
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
    options = session.settings.options
    for option, values, detail in (
        ("--mode", options.modes, "modes"),
        ("--precision", options.precisions, "precisions"),
    ):
        here = {getattr(item.stash[CASE], detail.removesuffix("s")) for item in items if CASE in item.stash}
        for value in values or ():
            if value not in here:
                session.progress.hints.append(
                    f"{option} {value}: no workload here has it; a workload lists its {detail}="
                )


def pytest_collection_finish(session: pytest.Session) -> None:
    """The selection is final: fix the families."""
    state = session.config.stash[SESSION]
    state.measuring.plan([item.stash[CASE] for item in session.items if CASE in item.stash])
    # Two interpreters that time each other cannot be asked to finish.
    state.interruption.soft = state.measuring.resumable
    output.begin(session.config, state, _json_path(session.config))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """A run that ends early still hands over what it has measured; other items are passed over."""
    terminal.forget_stages(item.config)
    session = item.config.stash[SESSION]
    return None if CASE not in item.stash or session.reaches(item.stash[CASE]) else True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Of what has passed nobody asks for its keywords, of which pytest keeps a copy for each report."""
    if report.passed:
        report.keywords = NO_KEYWORDS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say by the exit code that the run was interrupted, or could not be written."""
    output.exit_code(session, session.config.stash[SESSION])


@pytest.fixture
def measured(
    request: pytest.FixtureRequest,
    benchmark: Any,
    suite: str,
    workload: str,
    size: str,
    implementation: str,
    device: str,
    mode: str,
    precision: str,
    workers: str,
) -> Callable[[], None]:
    """Measure this case, with its family if that has not been done, and hand over its samples."""
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
                benchmark.extra_info[KEY] = record["case"]["id"]  # in the JSON its record stands there
                pytest_benchmark_adapter.replay(item, benchmark, samples(record))

    return measure


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the run's own record to the JSON."""
    session = config.stash[SESSION]
    output_json[KEY] = session.run_record()
    pytest_benchmark_adapter.as_lists(output_json["benchmarks"])
    records = {record["case"]["id"]: record for record in session.records()}
    for one in output_json["benchmarks"]:
        if isinstance(name := one["extra_info"].get(KEY), str):
            one["extra_info"][KEY] = records[name]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The speed-ups, and how to render the report."""
    closing.write(terminalreporter, config.stash[SESSION], _json_path(config))
