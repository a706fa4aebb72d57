"""The start of a run, before collection: the options, the checks, the fork server, the header."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from torchduet.bench.duet import against
from torchduet.bench.host import temporary
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.process.inherited import too_few_files, too_few_tasks, usable
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.host.system_limits import limits
from torchduet.bench.plan import claim_selection, cli, preflight
from torchduet.bench.plan.case_globs import check_keywords
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plugin import given, gpu_clocks, output, sharding
from torchduet.bench.plugin.pytest_command import BENCH
from torchduet.bench.plugin.stash import CASES, DUET, LEADER, SESSION, json_path
from torchduet.bench.record.units import short_duration
from torchduet.bench.record.words.counting import plural
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.preparing import environment_warnings, import_suites
from torchduet.bench.run.profile_selection import profiling_of
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.exit_reason import kill_group
from torchduet.bench.workers.launcher import Launcher, silent_seconds
from torchduet.bench.workers.process import machine_of
from torchduet.suites.extras import install
from torchduet.suites.registry import names
from torchduet.suites.workload import SuiteError, cores

OF_COMPILER = "TORCHINDUCTOR_CACHE_DIR"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options of ``pytest bench/``; values are parsed in :mod:`torchduet.bench.plan.options`."""
    group = parser.getgroup("torchduet")
    cli.add_to(group)
    against.add_options(group)
    pluginmanager.register(group, given.GROUP)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check everything that can be checked before measuring, then start the fork server."""
    usable()
    stop_request = StopRequest(in_time=True)
    stop_request.at_end.append(temporary.remove_all)
    stop_request.listen()  # before anything is written
    config.add_cleanup(stop_request.restore)
    try:
        _start(config, stop_request)
    except KeyboardInterrupt:
        stop_request.ends = True
        pytest.exit(f"stopped by {stop_request.name}", stop_request.exit_code)
    except BaseException:
        stop_request.ends = True  # what was begun is undone
        raise
    config.add_cleanup(lambda: setattr(stop_request, "ends", True))


def _start(config: pytest.Config, stop_request: StopRequest) -> None:
    if config.getoption("numprocesses", None) or os.environ.get("PYTEST_XDIST_WORKER"):
        raise pytest.UsageError("benchmarks run one at a time: leave out -n (pytest-xdist)")
    given.check(config)
    for name in ("once", "calls"):
        if config.getoption(name):
            raise pytest.UsageError(f"--{name}: belongs to `torchduet run --case ID --once`, which needs no pytest")
    try:
        claims_only = claim_selection.wanted(config.option.markexpr)
        if claims_only and config.getoption("tier") == "quick":
            config.option.tier = "default"
        check_keywords(config.option.keyword)
        preflight.check_temporary()
        asked = against.duet_options(config)
        if asked is not None and LEADER in config.stash:
            raise OptionError("--against…: both sides are measured on one machine: start one process, without torchrun")
        options = cli.read(config)
        if asked is not None:
            options = against.adapted(options, config.getoption("budget"))
        if few := too_few_files() or too_few_tasks():
            raise OptionError(few)
        preflight.check_test_files(BENCH)
        _own_compiler_folder(config)
        silent = options.hang_seconds or silent_seconds(options.budget_seconds)
        files, import_warnings = import_suites(options.suites or (), silent)
        data = preflight.check_data(options.data)
        config.stash[sharding.SHARDING] = sharding.begin(options, json_path(config))
        preflight.check_output(json_path(config), selecting_only=config.option.collectonly)
        profiling = None if config.option.collectonly else profiling_of(options, json_path(config))
        output.check(config, json_path(config))
        lock_warnings = output.lock_machine(config)
    except (OptionError, SuiteError) as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:  # of a path that was given, such as one that is too long
        place = f"{str(error.filename)[:200]}: " if error.filename else ""
        raise pytest.UsageError(f"{place}{error.strerror or error}") from None
    config.addinivalue_line("markers", "claims: decides what a tutorial claims; see suites/claims/")
    config.stash[CASES] = {}
    config.stash[DUET] = asked
    selecting_only = config.option.collectonly
    warnings = (
        []
        if selecting_only
        else limits() + lock_warnings + import_warnings + preflight.load_warnings(options.threads or cores())
    )
    if asked is not None and asked.sides.revision is not None:
        warnings += asked.sides.revision.notes
    run_clock, leader = RunClock(), config.stash.get(LEADER, None)
    launcher = Launcher(
        silent_seconds=silent,
        stop_requested=stop_request.received,
        run_clock=run_clock,
        files=files,
        warn=warnings.append,
        ended=(lambda: None) if leader is None else leader.close_pools,
    )
    config.add_cleanup(launcher.close)
    stop_request.at_end += [launcher.servers.kill, lambda: kill_group(launcher.job_control.group)]
    launcher.job_control.listen()
    config.add_cleanup(launcher.job_control.restore)
    narrowed = options.suites or options.cases or "mode" in options.asked or config.option.keyword
    if not narrowed and not selecting_only:
        launcher.start(
            compiler=True, suites=names()
        )  # all modes are likely to be selected: start while pytest collects
    machine = _machine(launcher)
    machine = machine if leader is None else replace(machine, processes=leader.processes)
    machine = machine.measuring(list(map(str, options.asked.get("device", ()))) or machine.devices())
    settings = Settings(
        options,
        machine,
        check_only=config.getoption("benchmark_disable", False) and not config.getoption("benchmark_enable", False),
        selecting_only=selecting_only,
        claims_only=claims_only,
        data=data,
        profiling=profiling,
    )
    warnings += environment_warnings(settings)
    progress = Progress(warnings)
    try:
        preflight.check_devices(list(map(str, options.asked.get("device", ()))), machine, selecting_only=selecting_only)
        if asked is None:
            measuring = Measuring(settings, launcher, progress, run_clock)
        else:
            measuring = against.measuring(config, settings, launcher, progress, run_clock, asked)
        gpu_clocks.check(measuring)
    except OptionError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = Session(measuring, stop_request)


def _own_compiler_folder(config: pytest.Config) -> None:
    """Name a folder of the run for the compiler, which makes its folder when a suite's file lets it be imported.

    Otherwise that is ``torchinductor_<user>`` in the shared temporary folder, and stays.
    """
    if OF_COMPILER in os.environ:
        return
    folder = temporary.RunFolder()
    config.add_cleanup(folder.cleanup)
    os.environ[OF_COMPILER] = str(folder.path / "inductor")
    config.add_cleanup(lambda: os.environ.__delitem__(OF_COMPILER))


def _machine(launcher: Launcher) -> Machine:
    try:
        machine = machine_of(lambda: launcher.machine(own_process=True))
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"{error.name} is not installed in this environment: {install('', str(error.name))}"
        ) from None
    assert isinstance(machine, Machine)
    return machine


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Show what will be measured, and on which machine."""
    session = config.stash[SESSION]
    settings = session.settings
    machine, options = settings.machine, settings.options
    hardware = f"{machine.cpu}, {plural(machine.cores, 'core')}"
    hardware += "".join(f", {name}" for name in machine.accelerator_names())
    whole = "" if options.shard is None or options.budget_given else "its part of "
    shard = "" if options.shard is None else f"shard {options.shard}, "
    lines = [
        f"torchduet: tier {options.tier}, {shard}{plural(settings.threads, 'thread')}, "
        f"budget {whole}{short_duration(options.budget_seconds)} · torch {machine.torch} · {hardware}"
    ]
    if json_path(config) is None and not settings.selecting_only and not settings.check_only:
        lines.append("torchduet: no report can be rendered: that needs --benchmark-json run.json")
    lines += gpu_clocks.header_lines(session.measuring)
    lines += against.header(session, config.stash[DUET])
    return lines + [f"torchduet: warning: {warning}" for warning in session.progress.warnings]
