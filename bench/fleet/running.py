"""Runs a fleet from its options to its files: the folder, the journal, the cluster, the driver, the results."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torchduet.bench.files.places import try_folder
from torchduet.bench.files.streams import forgiving, note
from torchduet.bench.fleet.admission import FleetError
from torchduet.bench.fleet.driver import Driver
from torchduet.bench.fleet.journal import FleetJournal, Header
from torchduet.bench.fleet.kinds import differing_options
from torchduet.bench.fleet.nodes import ClusterError, Nodes
from torchduet.bench.fleet.options import FleetOptions
from torchduet.bench.fleet.result import Result, words
from torchduet.bench.fleet.results import JOURNAL, MACHINES, MERGED, PAGE, Results
from torchduet.bench.fleet.sent import SentError, package, suite_folder
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.merge.sources import MergeError
from torchduet.bench.plan.options import OptionError, parse
from torchduet.bench.plugin.progress import ProgressLine
from torchduet.bench.record.journal import JournalError
from torchduet.bench.record.journal_events import RunLog
from torchduet.bench.run.resume import sources
from torchduet.suites.registry import names

NOT_ALL, UNUSABLE = 1, 2  # exit codes
QUIET_SECONDS = 60.0  # from one line on the progress to the next where there is no terminal


@dataclass(frozen=True)
class Asked:
    """What was asked for on the command line.

    Attributes:
        address: of the cluster.
        resume: whether the fleet in the folder is continued.
    """

    options: FleetOptions
    address: str
    folder: Path
    resume: bool


@dataclass(frozen=True)
class Reports:
    """What the command has of the reports.

    Attributes:
        run_of: makes the file of a run of its log.
        render: writes the page of a run's file; returns the exit code.
        answer: what a run's file says, in a few lines; none of a file that cannot be read.
    """

    run_of: Callable[[RunLog], dict[str, Any]]
    render: Callable[[str, str], int]
    answer: Callable[[str], Sequence[str]]


def merge(paths: Sequence[Path], target: Path) -> None:
    """Make one file of several, in a process of its own: it needs ten times their size of memory.

    Raises:
        MergeError: they cannot be merged, or the file cannot be written; the message says why.
    """
    command = [sys.executable, "-m", "torchduet", "merge", *map(str, paths), "-o", str(target)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        why = lines[-1].removeprefix("error: ") if lines else f"its process ended with {done.returncode}"
        raise MergeError(why)


Connect = Callable[[str, Path, Path | None, str], Nodes]


def on_ray(address: str, own: Path, folder: Path | None, when_busy: str) -> Nodes:
    """The nodes of a Ray cluster."""
    from torchduet.bench.fleet.on_ray import RayNodes

    return RayNodes(address, own, folder, when_busy)


def measure(asked: Asked, reports: Reports, refuse: Callable[[Exception | str], int], connect: Connect = on_ray) -> int:
    """Measure, and write the files; returns the exit code.

    Args:
        refuse: prints what cannot be used, in one line; returns the exit code.
        connect: connects to the cluster; is given its address, the folders that are sent, and ``--when-busy``.
    """
    given = dict(asked.options.given)
    try:
        parse(**given)
        folder, suites = suite_folder(given["suite"] or ())
        for name, original in zip(suites, given["suite"] or (), strict=True):
            if name not in names() and not Path(original).is_file():
                raise OptionError(
                    f"--suite {original}: there is no such file; name a suite or a Python file of workloads"
                )
        options = replace(asked.options, given=given | {"suite": suites or None})
        header = Header(
            options=options.recorded(),
            sources=_digests(suites, folder),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if connect is on_ray:
            from torchduet.bench.fleet.on_ray import imported

            imported()
        journal, resumed = _journal(asked, header)
    except (OptionError, SentError, JournalError, ClusterError) as error:
        return refuse(error)
    except OSError as error:
        return refuse(f"-o {asked.folder}: cannot be written: {error.strerror or error}; name another folder")
    results = Results(asked.folder, reports.run_of, _commit())
    stop_request, problems = StopRequest(), list[str]()
    line = ProgressLine(forgiving(sys.stderr), lambda: 0, QUIET_SECONDS)

    def say(text: str) -> None:
        line.clear()
        note(f"torchduet: {text}")

    if resumed:
        say(resumed)
    with tempfile.TemporaryDirectory(prefix="torchduet-fleet-", ignore_cleanup_errors=True) as temporary:
        connecting = StopRequest()  # of its own: Ray sets a handler, too, which is replaced below
        connecting.listen()
        try:
            nodes = connect(asked.address, package(Path(temporary)), folder, options.when_busy)
        except (ClusterError, OSError) as error:
            _end_unused(journal)
            return refuse(error)
        except KeyboardInterrupt:
            connecting.ends = True
            _end_unused(journal)
            return connecting.exit_code
        finally:
            connecting.restore()
        driver = Driver(options, nodes, journal, results.keep, stop_request=stop_request, say=say, show=line.show)
        stop_request.graceful = True
        stop_request.listen()
        try:
            driver.run()
        except (FleetError, ClusterError) as error:
            problems.append(str(error))
        except KeyboardInterrupt:
            problems.append("stopped at once: what machines had not sent yet is left out")
        finally:
            stop_request.ends = True
            line.clear()
            with contextlib.suppress(KeyboardInterrupt):
                nodes.close()
            stop_request.restore()
    if any(log.families for log in journal.logs.values()):
        code = _write(asked, reports, results, journal, driver.result(), problems, say)
    else:
        _end_unused(journal)
        code = refuse(problems[0]) if problems else NOT_ALL
    code = stop_request.exit_code if stop_request.received() else code
    if nodes.abandoned:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _write(
    asked: Asked,
    reports: Reports,
    results: Results,
    journal: FleetJournal,
    result: Result,
    problems: list[str],
    say: Callable[[str], None],
) -> int:
    """Write all files, and say what there is; returns the exit code."""
    run = None
    try:
        run = results.finish(journal, result, asked.options.each, merge)
    except (MergeError, JournalError) as error:
        problems.append(f"the files in {asked.folder / MACHINES} are not merged: {error}")
    for text in (*result.hints, *words(result)):
        say(text)
    problems += results.problems
    if run is not None and (answer := reports.answer(str(run))):
        print(*answer, "", sep="\n", flush=True)
    page = asked.folder / PAGE
    has_page = run is None or not reports.render(str(run), str(page))
    if not has_page:
        say(f"error: the page is not in its place; torchduet render {run} -o {page} makes it")
    for text in problems:
        say(f"error: {text}")
    whole = not (problems or result.unreached or result.stopped)
    if whole:
        journal.remove()
    else:
        journal.close()
        say(f"to continue it, give the same options and --resume; what was measured is in {journal.path}")
    if run is not None:
        print(run)
    if problems or not has_page:
        return UNUSABLE
    return NOT_ALL if result.unreached or result.failed or results.failed else 0


def _journal(asked: Asked, header: Header) -> tuple[FleetJournal, str]:
    """Open the folder's journal, or begin one; returns it and a line on what is continued.

    Raises:
        OptionError, JournalError: it cannot be used; the message says why.
        OSError: the folder cannot be written.
    """
    folder = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    try_folder(folder)
    path = folder / JOURNAL
    if not path.exists():
        if (folder / MERGED).exists() or (folder / MACHINES).exists():
            raise OptionError(f"-o {folder}: holds the results of a fleet already; name a new folder")
        words_of_resume = f"--resume: there is no {path}, so everything is measured" if asked.resume else ""
        return FleetJournal.create(path, header), words_of_resume
    if not asked.resume:
        raise OptionError(f"-o {folder}: a fleet that ended early is in {path}; give --resume, or name a new folder")
    journal = FleetJournal.reopen(path)
    lines = differing_options(journal.header.options, header.options)
    before = journal.header.sources
    edited = [f"source {name}: it has been edited" for name, of in header.sources.items() if before.get(name, of) != of]
    if lines or edited:
        journal.close()
        raise JournalError(f"--resume: {path} is of another fleet: {'; '.join(lines + edited)}")
    left_out = f"; {_counted(journal.dropped, 'damaged line')} left out" if journal.dropped else ""
    families = _counted(sum(log.families for log in journal.logs.values()), "family", "families")
    machines = _counted(len(journal.logs), "machine")
    return journal, f"resumed from {path}: {families} measured on {machines}{left_out}"


def _counted(number: int, one: str, more: str = "") -> str:
    """``1 family``, ``2 families``."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _end_unused(journal: FleetJournal) -> None:
    """Keep a journal that holds something, and remove one that does not, with its folder if that is empty."""
    if any(log.families for log in journal.logs.values()):
        journal.close()
        return
    journal.remove()
    with contextlib.suppress(OSError):
        journal.path.parent.rmdir()


def _digests(suites: Sequence[str], folder: Path | None) -> dict[str, str]:
    """A digest of each suite file, by its name in the folder that is sent."""
    files = [name for name in suites if name not in names()]
    if folder is None:
        return {}
    with contextlib.chdir(folder):
        found = sources(files)
    return {name: found[name] for name in files}


def _commit() -> dict[str, Any]:
    """What pytest-benchmark records of the commit in the working folder."""
    from pytest_benchmark.utils import get_commit_info

    return dict(get_commit_info())  # type: ignore[no-untyped-call]
