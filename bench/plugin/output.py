"""The pytest side of the run's output: ``--resume``, the lock, the journal, and the JSON, written atomically."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.storage.file import FileStorage
from pytest_benchmark.utils import safe_dumps

from torchduet.bench.files.atomic import write_atomically
from torchduet.bench.files.places import try_folder, write_elsewhere
from torchduet.bench.files.streams import note, output_is_lost
from torchduet.bench.host import run_lock
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plugin import sharding
from torchduet.bench.plugin.against_command import BY_COMMAND
from torchduet.bench.plugin.stash import SELECTED, json_path
from torchduet.bench.record.duets.gate import Gate
from torchduet.bench.record.journal import JournalError, path_for
from torchduet.bench.record.strict_json import strict
from torchduet.bench.run import resume
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session

NOTHING_LEFT = 2  # exit code: there is no file, and what was printed is lost

TO_CONTINUE = pytest.StashKey[bool]()  # there was a journal before this run waited for another
UNWRITTEN = 2  # as of the commands that write a report


def check(config: pytest.Config, run: Path | None) -> None:
    """Check that ``--resume`` can be used with the other options.

    Raises:
        OptionError: it cannot; the message says why.
    """
    config.stash[TO_CONTINUE] = run is not None and path_for(run).exists()
    if not config.getoption("resume"):
        return
    if run is None:
        raise OptionError("--resume: name the run to continue: --benchmark-json run.json")
    if config.getoption("benchmark_disable", False):
        raise OptionError("--resume: nothing is timed with --benchmark-disable, so there is nothing to continue")


def lock_machine(config: pytest.Config) -> list[str]:
    """Take the machine's lock, as ``--when-busy`` says; returns a warning if another run is measuring, too.

    Raises:
        OptionError: another run is measuring, and ``--when-busy refuse`` was given.
    """
    try:
        return _take_lock(config, run_lock.parse(config.getoption("when_busy")))
    except run_lock.LockError as error:
        raise OptionError(str(error)) from None


def _take_lock(config: pytest.Config, when_busy: str) -> list[str]:
    if config.option.collectonly or config.getoption("benchmark_disable", False):
        return []
    lock = run_lock.Lock(run_lock.lock_path())
    config.add_cleanup(lock.free)
    warning = lock.take(when_busy, lambda words: note(f"torchduet: {words}"))
    return [] if warning is None else [warning]


def begin(config: pytest.Config, session: Session, run: Path | None) -> None:
    """Open the journal, and have the JSON written atomically; called once the selection is final.

    Raises:
        pytest.UsageError: the journal cannot be used, or the storage of pytest-benchmark.
    """
    settings, progress = session.settings, session.progress
    if settings.selecting_only or settings.check_only or not progress.families:
        return
    _guard_storage(config, progress)
    if run is None:
        return
    if config.getoption("resume") and config.stash[TO_CONTINUE] and not path_for(run).exists():
        raise pytest.UsageError(f"torchduet: --resume: another process has finished this run meanwhile: see {run}")
    benchmarks: Any = config._benchmarksession  # type: ignore[attr-defined]
    benchmarks.save_json = lambda output: _save(config, session, run, output)
    try:
        lines = resume.begin(session.measuring, run, resume=config.getoption("resume"))
    except JournalError as error:
        raise pytest.UsageError(f"torchduet: {error}") from None
    assert progress.journal is not None
    config.add_cleanup(lambda: _close(progress))
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for line in lines if reporter is not None else []:
        reporter.write_line(f"torchduet: {line}")


def _guard_storage(config: pytest.Config, progress: Progress) -> None:
    """Try the folder of ``--benchmark-save`` and ``--benchmark-autosave``; if it fails later, the run still ends well.

    Raises:
        pytest.UsageError: it cannot be written.
    """
    benchmarks: Any = config._benchmarksession  # type: ignore[attr-defined]
    in_files = isinstance(benchmarks.storage, FileStorage)
    if not (benchmarks.save or benchmarks.autosave) or not in_files:
        return
    option = "--benchmark-save" if benchmarks.save else "--benchmark-autosave"
    folder, save = benchmarks.storage.get("it").parent, benchmarks.storage.save
    try:
        try_folder(folder)
    except OSError as error:
        why = f"{folder} cannot be written: {error.strerror or error}"
        raise pytest.UsageError(f"torchduet: {option}: {why}; name another with --benchmark-storage") from None

    def saved(output: Any, name: str) -> None:
        try:
            save(output, name)
        except OSError as error:
            progress.hints.append(f"{option}: {folder} cannot be written: {error.strerror or error}")
            progress.unwritten = True

    benchmarks.storage.save = saved


def exit_code(pytest_session: pytest.Session, session: Session, gate: Gate) -> None:
    """Set the exit code: 130 after Ctrl-C and 143 after SIGTERM, as in shells; 2 if the JSON could not be written.

    2 if there is none, and standard output could not be written.

    Args:
        gate: what ``--fail-on`` says of a duet.
    """
    if session.stop_request.received():
        pytest_session.exitstatus = session.stop_request.exit_code
    elif pytest_session.exitstatus != pytest.ExitCode.OK:
        return
    elif session.progress.unwritten:
        pytest_session.exitstatus = UNWRITTEN
    elif output_is_lost() and (session.settings.selecting_only or json_path(pytest_session.config) is None):
        pytest_session.exitstatus = NOTHING_LEFT
    elif session.settings.selecting_only:
        return
    elif not session.settings.check_only:
        pytest_session.exitstatus = gate.code


def closing(session: Session, run: Path | None) -> list[str]:
    """The closing lines of a run that ended early."""
    lines, progress = [], session.progress
    if progress.stopped or session.stop_request.received():
        why = progress.stopped or session.stop_reason()
        number = f"{progress.measured} of {len(progress.families)} families are measured"
        lines.append(f"the run ended early ({why}): {number}")
    if progress.journal is not None and run is not None and progress.measured and not progress.finished:
        how = os.environ.get(BY_COMMAND, "give the same options and --resume")
        if how:
            lines.append(f"to continue it, {how}; its results are in {path_for(run)}")
    return lines


def save_nothing(config: pytest.Config, session: Session, run: Path | None) -> None:
    """Have pytest-benchmark save nothing after a run that has timed nothing, and say so; it would only warn.

    The file of a shard is written elsewhere: see :func:`save_without_cases`.
    """
    benchmarks: Any = config._benchmarksession  # type: ignore[attr-defined]
    saves = benchmarks.save or benchmarks.autosave
    benchmarks.json = benchmarks.save = benchmarks.autosave = None
    known = os.environ.get(BY_COMMAND, "named")  # empty: the run's file is temporary, of another command
    selected = SELECTED in config.stash and not session.settings.selecting_only
    if not selected or sharding.is_part(config) or not known:
        return
    if run is not None:
        session.progress.hints.append(f"nothing was timed, so {run} was not written")
    elif saves:
        session.progress.hints.append("nothing was timed, so pytest-benchmark has saved nothing")


def save_without_cases(config: pytest.Config, session: Session, run: Path) -> None:
    """Write the file of a shard that has measured nothing; pytest-benchmark writes none without a benchmark.

    The file says that the shard was not forgotten: merging names shards that are missing.
    """
    benchmarks: Any = config._benchmarksession  # type: ignore[attr-defined]
    machine_info = benchmarks.get_machine_info()
    commit_info = config.hook.pytest_benchmark_generate_commit_info(config=config)
    config.hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit_info)
    about = {"config": config, "benchmarks": []}
    output = config.hook.pytest_benchmark_generate_json(
        **about, include_data=True, machine_info=machine_info, commit_info=commit_info
    )
    config.hook.pytest_benchmark_update_json(**about, output_json=output)
    _save(config, session, run, output)
    if not session.progress.unwritten:
        session.progress.hints.append(f"{run} has no cases; merge it with the other shards, so that none is missing")


def _save(config: pytest.Config, session: Session, run: Path, output: Any) -> None:
    """Write the JSON; pytest-benchmark's own function would empty the file first, and put each number on a line."""
    if session.stop_request.immediate:
        return  # end at once: the journal holds all results
    progress = session.progress
    text = safe_dumps(strict(output), ensure_ascii=True, separators=(",", ":"), allow_nan=False)  # type: ignore[no-untyped-call]
    try:
        if not run.parent.is_dir():
            run.parent.mkdir(parents=True, exist_ok=True)
            progress.hints.append(f"{run.parent} had been removed; it was created again")
        write_atomically(text.encode(), run)
    except OSError as error:
        elsewhere = write_elsewhere(text.encode(), run)
        instead = f"the run is in {elsewhere} instead; " if elsewhere is not None else ""
        remedy = _remedy(progress, run, saved=elsewhere is not None)
        progress.hints.append(f"{run} cannot be written: {error.strerror or error}; {instead}{remedy}")
        progress.unwritten = True
        return
    config._benchmarksession.logger.info(f"Wrote benchmark data in: {run}", purple=True)  # type: ignore[attr-defined]


def _remedy(progress: Progress, run: Path, *, saved: bool) -> str:
    if progress.journal is None or not os.path.lexists(path_for(run)):
        return "move it to where you want it" if saved else "the run is lost"
    return f"nothing is lost: make room, then give the same options and --resume; the results are in {path_for(run)}"


def _close(progress: Progress) -> None:
    """Remove the journal if the whole run is written; else keep it."""
    assert progress.journal is not None
    if progress.finished and not progress.unwritten:
        progress.journal.remove()
    else:
        progress.journal.close()
