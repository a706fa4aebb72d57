"""The pytest side of the journal: ``--resume``, the JSON written whole or not at all, what is said about both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.utils import safe_dumps

from torchduet.bench.host import run_lock
from torchduet.bench.host.atomic_files import write_atomically
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.journal import JournalError, path_for
from torchduet.bench.run import resume
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session


def check(config: pytest.Config, run: Path | None, *, duet: bool) -> None:
    """Whether there can be anything to resume.

    Raises:
        OptionError: there cannot; the message says why.
    """
    if not config.getoption("resume"):
        return
    if run is None:
        raise OptionError("--resume: name the run to go on with: --benchmark-json run.json")
    if duet:
        raise OptionError("--resume: a comparison of two sides (--against…) cannot be resumed; leave it out")
    if config.getoption("benchmark_disable", False):
        raise OptionError("--resume: nothing is timed with --benchmark-disable, so there is nothing to go on with")


def alone(config: pytest.Config) -> list[str]:
    """See to it that no other run is measuring; returns a warning where one is all the same.

    Raises:
        OptionError: one is, and this one is not to wait.
    """
    try:
        return _take(config, run_lock.parse(config.getoption("when_busy")))
    except run_lock.LockError as error:
        raise OptionError(str(error)) from None


def _take(config: pytest.Config, when_busy: str) -> list[str]:
    if config.option.collectonly or config.getoption("benchmark_disable", False):
        return []
    taken = run_lock.Lock(run_lock.lock_path())
    config.add_cleanup(taken.free)
    warning = taken.take(when_busy, lambda words: print(f"torchduet: {words}", file=sys.stderr, flush=True))
    return [] if warning is None else [warning]


def begin(config: pytest.Config, session: Session, run: Path | None) -> None:
    """Once it is settled what is measured: open the journal, and see to it that the JSON is written whole.

    Raises:
        pytest.UsageError: the journal cannot be used.
    """
    settings, progress = session.settings, session.progress
    if run is None or settings.selecting_only or settings.check_only or not progress.families:
        return
    benchmarks: Any = config._benchmarksession  # type: ignore[attr-defined]
    benchmarks.save_json = lambda output: _save(config, session, run, output)
    if not session.measuring.resumable:
        return
    try:
        lines = resume.begin(session.measuring, run, resume=config.getoption("resume"))
    except JournalError as error:
        raise pytest.UsageError(f"torchduet: {error}") from None
    assert progress.journal is not None
    config.add_cleanup(lambda: _close(progress))
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for line in lines if reporter is not None else []:
        reporter.write_line(f"torchduet: {line}")


def exit_code(pytest_session: pytest.Session, session: Session) -> None:
    """130 after Ctrl-C and 143 after SIGTERM, as shells have it; 1 where the JSON could not be written."""
    if session.stop_request.received():
        pytest_session.exitstatus = session.stop_request.exit_code
    elif session.progress.unwritten and pytest_session.exitstatus == pytest.ExitCode.OK:
        pytest_session.exitstatus = pytest.ExitCode.TESTS_FAILED


def closing(session: Session, run: Path | None) -> list[str]:
    """What to say of a run that ended early."""
    lines, progress = [], session.progress
    if progress.stopped or session.stop_request.received():
        why = progress.stopped or f"it was interrupted by {session.stop_request.name}"
        number = f"{progress.measured} of {len(progress.families)} families are measured"
        lines.append(f"the run stopped early, {why}: {number}")
    if progress.journal is not None and run is not None and progress.measured and not progress.finished:
        lines.append(f"to go on with it, give the same options and --resume; {path_for(run)} holds what it measured")
    return lines


def _save(config: pytest.Config, session: Session, run: Path, output: Any) -> None:
    """In place of pytest-benchmark's own writing, which empties the file first, and gives each number a line."""
    if session.stop_request.immediate:
        return  # stop now: the journal has it all
    if not run.parent.is_dir():
        run.parent.mkdir(parents=True, exist_ok=True)
        session.progress.hints.append(f"{run.parent} had vanished; it was made anew")
    try:
        write_atomically(safe_dumps(output, ensure_ascii=True, separators=(",", ":")).encode(), run)  # type: ignore[no-untyped-call]
    except OSError as error:
        session.progress.hints.append(f"{run} cannot be written: {error.strerror}; {_remedy(session.progress, run)}")
        session.progress.unwritten = True
        return
    config._benchmarksession.logger.info(f"Wrote benchmark data in: {run}", purple=True)  # type: ignore[attr-defined]


def _remedy(progress: Progress, run: Path) -> str:
    if progress.journal is None or not path_for(run).exists():
        return "the run is lost"
    return (
        f"nothing is lost: make room, then give the same options and --resume; what was measured is in {path_for(run)}"
    )


def _close(progress: Progress) -> None:
    """The journal has served once the whole run is written; else it stays."""
    assert progress.journal is not None
    if progress.finished and not progress.unwritten:
        progress.journal.remove()
    else:
        progress.journal.close()
